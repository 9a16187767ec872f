// A JSON value that can be read, built and written. Look-ups of what is not there give `Json.none`, a null, so that
// they can be chained: request.json().get("address").get("city").asString("").
// SPDX-License-Identifier: Apache-2.0

export enum Kind {
  Null,
  Boolean,
  Number,
  String,
  Array,
  Object,
}

const MAX_DEPTH: i32 = 64;

export class Json {
  kind: Kind = Kind.Null;
  private flag: bool = false;
  private text: string = ""; // a string's characters; a number as it is written
  private names: string[] = [];
  private values: Json[] = [];

  /** What a look-up of something absent gives. */
  static readonly none: Json = new Json();

  static null(): Json {
    return new Json();
  }

  static boolean(value: bool): Json {
    const json = new Json();
    json.kind = Kind.Boolean;
    json.flag = value;
    return json;
  }

  static integer(value: i64): Json {
    return Json.literal(value.toString());
  }

  /** NaN and infinities, which JSON does not have, become null. */
  static number(value: f64): Json {
    return isFinite(value) ? Json.literal(value.toString()) : Json.null();
  }

  static string(value: string): Json {
    const json = new Json();
    json.kind = Kind.String;
    json.text = value;
    return json;
  }

  static array(): Json {
    const json = new Json();
    json.kind = Kind.Array;
    return json;
  }

  static object(): Json {
    const json = new Json();
    json.kind = Kind.Object;
    return json;
  }

  /** The value of a JSON text of at most 64 levels, or null if it isn't one. */
  static parse(text: string): Json | null {
    return new Parser(text).parse();
  }

  private static literal(text: string): Json {
    const json = new Json();
    json.kind = Kind.Number;
    json.text = text;
    return json;
  }

  get isNull(): bool {
    return this.kind == Kind.Null;
  }

  /** The number of an array's elements or an object's members; else 0. */
  get length(): i32 {
    return this.values.length;
  }

  has(name: string): bool {
    return this.names.includes(name);
  }

  get(name: string): Json {
    const index = this.names.indexOf(name);
    return index < 0 ? Json.none : this.values[index];
  }

  at(index: i32): Json {
    return index < 0 || index >= this.values.length ? Json.none : this.values[index];
  }

  /** The name of an object's member number `index`. */
  nameAt(index: i32): string {
    return index < 0 || index >= this.names.length ? "" : this.names[index];
  }

  asBoolean(fallback: bool): bool {
    return this.kind == Kind.Boolean ? this.flag : fallback;
  }

  asString(fallback: string): string {
    return this.kind == Kind.String ? this.text : fallback;
  }

  asNumber(fallback: f64): f64 {
    return this.kind == Kind.Number ? parseFloat(this.text) : fallback;
  }

  /** A number written without fraction and exponent, of at most 18 digits. */
  asInteger(fallback: i64): i64 {
    return this.isInteger ? I64.parseInt(this.text) : fallback;
  }

  get isInteger(): bool {
    if (this.kind != Kind.Number || this.text.length > 19) return false;
    const first = this.text.charCodeAt(0) == 0x2d ? 1 : 0;
    if (this.text.length - first > 18) return false;
    for (let i = first; i < this.text.length; ++i) {
      const unit = this.text.charCodeAt(i);
      if (unit < 0x30 || unit > 0x39) return false;
    }
    return true;
  }

  /** Sets a member of an object (an existing one is replaced) and gives the object back. */
  set(name: string, value: Json): Json {
    assert(this.kind == Kind.Object, "set() needs an object");
    const index = this.names.indexOf(name);
    if (index >= 0) {
      this.values[index] = value;
    } else {
      this.names.push(name);
      this.values.push(value);
    }
    return this;
  }

  /** Appends an element to an array and gives the array back. */
  push(value: Json): Json {
    assert(this.kind == Kind.Array, "push() needs an array");
    this.values.push(value);
    return this;
  }

  toString(): string {
    const parts: string[] = [];
    this.write(parts);
    return parts.join("");
  }

  private write(parts: string[]): void {
    switch (this.kind) {
      case Kind.Null:
        parts.push("null");
        break;
      case Kind.Boolean:
        parts.push(this.flag ? "true" : "false");
        break;
      case Kind.Number:
        parts.push(this.text);
        break;
      case Kind.String:
        writeString(parts, this.text);
        break;
      case Kind.Array:
        parts.push("[");
        for (let i = 0; i < this.values.length; ++i) {
          if (i > 0) parts.push(",");
          this.values[i].write(parts);
        }
        parts.push("]");
        break;
      case Kind.Object:
        parts.push("{");
        for (let i = 0; i < this.values.length; ++i) {
          if (i > 0) parts.push(",");
          writeString(parts, this.names[i]);
          parts.push(":");
          this.values[i].write(parts);
        }
        parts.push("}");
        break;
    }
  }

  // For Parser.
  static ofNumberText(text: string): Json {
    return Json.literal(text);
  }
}

const HEX = "0123456789abcdef";

function writeString(parts: string[], text: string): void {
  parts.push('"');
  let from = 0;
  for (let i = 0; i < text.length; ++i) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    parts.push(text.substring(from, i));
    from = i + 1;
    if (unit >= 0x20) parts.push("\\" + String.fromCharCode(unit));
    else parts.push("\\u00" + HEX.charAt(unit >> 4) + HEX.charAt(unit & 15));
  }
  parts.push(text.substring(from));
  parts.push('"');
}

// RFC 8259, strictly. A method that fails sets `failed`; every loop looks at it.
class Parser {
  private at: i32 = 0;
  private failed: bool = false;

  constructor(private text: string) {}

  parse(): Json | null {
    const json = this.value(MAX_DEPTH);
    this.space();
    return this.failed || this.at < this.text.length ? null : json;
  }

  // The next UTF-16 unit, or -1 at the end.
  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private accept(unit: i32): bool {
    if (this.peek() != unit) return false;
    ++this.at;
    return true;
  }

  private expect(unit: i32): void {
    if (!this.accept(unit)) this.failed = true;
  }

  private space(): void {
    for (;;) {
      const unit = this.peek();
      if (unit != 0x20 && unit != 0x09 && unit != 0x0a && unit != 0x0d) return;
      ++this.at;
    }
  }

  private word(word: string, json: Json): Json {
    if (this.text.substr(this.at, word.length) != word) this.failed = true;
    this.at += word.length;
    return json;
  }

  private value(depth: i32): Json {
    this.space();
    switch (this.peek()) {
      case 0x22: // "
        return Json.string(this.string());
      case 0x5b: // [
        return this.array(depth);
      case 0x7b: // {
        return this.object(depth);
      case 0x74: // t
        return this.word("true", Json.boolean(true));
      case 0x66: // f
        return this.word("false", Json.boolean(false));
      case 0x6e: // n
        return this.word("null", Json.null());
      default:
        return this.number();
    }
  }

  private array(depth: i32): Json {
    const json = Json.array();
    ++this.at;
    this.space();
    if (depth == 0) this.failed = true;
    if (this.accept(0x5d)) return json;
    while (!this.failed) {
      json.push(this.value(depth - 1));
      this.space();
      if (this.accept(0x5d)) break;
      this.expect(0x2c);
    }
    return json;
  }

  private object(depth: i32): Json {
    const json = Json.object();
    ++this.at;
    this.space();
    if (depth == 0) this.failed = true;
    if (this.accept(0x7d)) return json;
    while (!this.failed) {
      this.space();
      if (this.peek() != 0x22) {
        this.failed = true;
        break;
      }
      const name = this.string();
      this.space();
      this.expect(0x3a);
      if (this.failed) break;
      json.set(name, this.value(depth - 1));
      this.space();
      if (this.accept(0x7d)) break;
      this.expect(0x2c);
    }
    return json;
  }

  private digits(): void {
    const from = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) ++this.at;
    if (this.at == from) this.failed = true;
  }

  private number(): Json {
    const from = this.at;
    this.accept(0x2d);
    if (!this.accept(0x30)) this.digits();
    if (this.accept(0x2e)) this.digits();
    if (this.accept(0x65) || this.accept(0x45)) {
      if (!this.accept(0x2b)) this.accept(0x2d);
      this.digits();
    }
    return Json.ofNumberText(this.text.substring(from, this.at));
  }

  private string(): string {
    let from = ++this.at;
    const parts: string[] = [];
    while (!this.failed) {
      const unit = this.peek();
      if (unit == 0x22) {
        parts.push(this.text.substring(from, this.at++));
        return parts.join("");
      }
      if (unit < 0x20) {
        this.failed = true; // the end, or a control character
      } else if (unit == 0x5c) {
        parts.push(this.text.substring(from, this.at++));
        parts.push(this.escape());
        from = this.at;
      } else {
        ++this.at;
      }
    }
    return "";
  }

  private escape(): string {
    const unit = this.peek();
    ++this.at;
    switch (unit) {
      case 0x22:
      case 0x5c:
      case 0x2f:
        return String.fromCharCode(unit);
      case 0x62:
        return "\b";
      case 0x66:
        return "\f";
      case 0x6e:
        return "\n";
      case 0x72:
        return "\r";
      case 0x74:
        return "\t";
      case 0x75:
        return String.fromCharCode(this.hexUnit());
      default:
        this.failed = true;
        return "";
    }
  }

  private hexUnit(): i32 {
    let unit = 0;
    for (let i = 0; i < 4; ++i) {
      const digit = this.peek();
      ++this.at;
      if (digit >= 0x30 && digit <= 0x39) unit = (unit << 4) | (digit - 0x30);
      else if ((digit | 0x20) >= 0x61 && (digit | 0x20) <= 0x66) unit = (unit << 4) | ((digit | 0x20) - 0x57);
      else this.failed = true;
    }
    return unit;
  }
}
