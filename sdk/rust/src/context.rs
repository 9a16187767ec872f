//! The context of a call. Every [`Request`](crate::Request) has it; [`get`] asks for it again from anywhere and needs the
//! capability `context.read`.

use crate::{abi, Error, Result};
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, Map, Value};

/// Who calls, in which install, with which settings.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Context {
    /// Names this call in every log.
    pub request_id: String,
    /// The organization.
    pub tenant_id: String,
    /// The extension, the same in every organization.
    pub extension_id: String,
    /// The extension in this organization.
    pub install_id: String,
    /// Of the bundle.
    pub content_hash: String,
    /// Of the published version.
    pub version_id: String,
    /// The install's settings; see [`config`](Context::config).
    #[serde(default, rename = "config")]
    pub settings: Option<Value>,
    /// Who calls, where a person or key is behind the call.
    #[serde(default)]
    pub user: Option<Value>,
}

impl Context {
    /// The install's settings as the extension's own type; an empty object where there are none.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        let settings = self.settings.clone().unwrap_or(Value::Object(Map::new()));
        serde_json::from_value(settings).map_err(|error| Error::json("config", error))
    }
}

/// The context of this call. Needs the capability `context.read`.
pub fn get() -> Result<Context> {
    abi::call("context.get", abi::context_get, &json!({}))
}
