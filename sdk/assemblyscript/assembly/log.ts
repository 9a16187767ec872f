// Lines of the execution's log.
// SPDX-License-Identifier: Apache-2.0

// @ts-ignore: decorator
@external("alga", "log_info") declare function hostLogInfo(text: usize, size: usize): void;
// @ts-ignore: decorator
@external("alga", "log_warn") declare function hostLogWarn(text: usize, size: usize): void;
// @ts-ignore: decorator
@external("alga", "log_error") declare function hostLogError(text: usize, size: usize): void;

/** Lines of the execution's log. Need the capability log.emit; without it they are dropped. */
export namespace log {
  /** Something to know. */
  export function info(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogInfo(changetype<usize>(bytes), bytes.byteLength);
  }
  /** Something to look at. */
  export function warn(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogWarn(changetype<usize>(bytes), bytes.byteLength);
  }
  /** Something that failed. */
  export function error(line: string): void {
    const bytes = String.UTF8.encode(line);
    hostLogError(changetype<usize>(bytes), bytes.byteLength);
  }
}
