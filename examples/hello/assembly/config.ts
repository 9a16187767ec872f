// Made by `bulkhead ext types` from manifest.json: change it there.
import { Json } from "@bulkhead/assemblyscript";

/** The install's settings. Read it by `Config.of(request.context.get("config"))`. */
export class Config {
  greeting: string = "Hello";

  static of(json: Json): Config {
    const value = new Config();
    value.greeting = json.get("greeting").asString(value.greeting);
    return value;
  }
}
