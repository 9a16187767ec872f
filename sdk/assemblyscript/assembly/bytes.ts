// UTF-8 and base64 at the border to the host.
// SPDX-License-Identifier: Apache-2.0

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function encodeBase64(bytes: ArrayBuffer): string {
  const from = Uint8Array.wrap(bytes);
  const text = new Uint16Array(((from.length + 2) / 3) * 4);
  let to = 0;
  for (let i = 0; i < from.length; i += 3) {
    const left = from.length - i;
    const group =
      ((from[i] as u32) << 16) | (left > 1 ? (from[i + 1] as u32) << 8 : 0) | (left > 2 ? (from[i + 2] as u32) : 0);
    text[to++] = DIGITS.charCodeAt(group >> 18) as u16;
    text[to++] = DIGITS.charCodeAt((group >> 12) & 63) as u16;
    text[to++] = left > 1 ? (DIGITS.charCodeAt((group >> 6) & 63) as u16) : 0x3d;
    text[to++] = left > 2 ? (DIGITS.charCodeAt(group & 63) as u16) : 0x3d;
  }
  return String.UTF16.decode(text.buffer);
}

/** The bytes of padded standard base64, or null if it isn't that. */
export function decodeBase64(text: string): ArrayBuffer | null {
  if (text.length % 4 != 0) return null;
  let padding = 0;
  if (text.endsWith("==")) padding = 2;
  else if (text.endsWith("=")) padding = 1;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let to = 0;
  for (let i = 0; i < text.length; i += 4) {
    let group: u32 = 0;
    for (let k = 0; k < 4; ++k) {
      const isPadding = i + k >= text.length - padding;
      const digit = isPadding ? 0 : digitOf(text.charCodeAt(i + k));
      if (digit < 0) return null;
      group = (group << 6) | (digit as u32);
    }
    bytes[to++] = (group >> 16) as u8;
    if (to < bytes.length) bytes[to++] = (group >> 8) as u8;
    if (to < bytes.length) bytes[to++] = group as u8;
  }
  return bytes.buffer;
}

function digitOf(unit: i32): i32 {
  if (unit >= 0x41 && unit <= 0x5a) return unit - 0x41;
  if (unit >= 0x61 && unit <= 0x7a) return unit - 0x61 + 26;
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30 + 52;
  return unit == 0x2b ? 62 : unit == 0x2f ? 63 : -1;
}
