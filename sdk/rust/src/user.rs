//! Who is behind the call. Needs the capability `user.read`.

use crate::{abi, Code, Result};
use serde_json::{json, Value};

/// The user, or None where no person or key is behind the call (an event, a schedule).
pub fn get() -> Result<Option<Value>> {
    match abi::call("user.get", abi::user_get, &json!({})) {
        Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
        other => other.map(Some),
    }
}
