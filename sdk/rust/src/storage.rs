//! The install's own key-value store. Needs the capability `storage.kv`.
//!
//! Values are any JSON up to 1 MiB; every write of a key gives it a new version, and a write can be bound to a version.
//!
//! ```no_run
//! use bulkhead_extension::{storage, Code, Result};
//!
//! // Of two calls at once one is refused and counts again.
//! fn count(name: &str) -> Result<u64> {
//!     loop {
//!         let before = storage::get::<u64>(name)?;
//!         let next = before.as_ref().map_or(0, |stored| stored.value) + 1;
//!         let unchanged = storage::Set::if_version(before.map_or(0, |stored| stored.version));
//!         match storage::set_with(name, &next, unchanged) {
//!             Err(error) if error.code() == Some(Code::Conflict) => continue,
//!             done => return done.map(|_| next),
//!         }
//!     }
//! }
//! ```

use crate::{abi, Code, Result};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use serde_json::Value;

/// A value and its version.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// Grows with every write of the key.
    pub version: u64,
}

/// A key of a [`Page`].
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub key: String,
    /// Its version.
    pub version: u64,
}

/// One page of keys.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Page {
    /// In byte order.
    pub items: Vec<Key>,
    /// There only if more keys follow: give it to the next [`List`].
    pub cursor: Option<String>,
}

/// Which keys to list.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct List<'a> {
    /// What the keys begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<&'a str>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
    /// 1 to 1000; 100 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Conditions of a write.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Set {
    /// Write only if the key has this version, 0 = only if there is no such key; else [`Code::Conflict`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u64>,
    /// The key is gone after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
}

impl Set {
    /// Write only if the key has this version (0: only if it does not exist).
    pub fn if_version(version: u64) -> Self {
        Self { if_version: Some(version), ttl_seconds: None }
    }

    /// Write only if there is no such key.
    pub fn if_absent() -> Self {
        Self::if_version(0)
    }

    /// The key is gone after this time.
    #[must_use]
    pub fn ttl_seconds(mut self, seconds: u32) -> Self {
        self.ttl_seconds = Some(seconds);
        self
    }
}

/// A separate key space within the install: `Space("orders").get("1")`. The functions of this module use the default one.
#[derive(Clone, Copy, Debug)]
pub struct Space<'a>(pub &'a str);

const DEFAULT: Space<'static> = Space("default");

#[derive(Serialize)]
struct Call<'a, T> {
    namespace: &'a str,
    #[serde(flatten)]
    call: T,
}

#[derive(Serialize)]
struct OneKey<'a> {
    key: &'a str,
}

#[derive(Serialize)]
struct Write<'a, T: ?Sized> {
    key: &'a str,
    value: &'a T,
    #[serde(flatten)]
    options: Set,
}

#[derive(Serialize)]
struct Delete<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_version: Option<u64>,
}

#[derive(Serialize)]
struct Items<'a, T> {
    items: Vec<Item<'a, T>>,
}

#[derive(Serialize)]
struct Item<'a, T> {
    key: &'a str,
    value: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
struct Versions {
    versions: Vec<u64>,
}

impl Space<'_> {
    fn of<T: Serialize>(&self, call: T) -> Call<'_, T> {
        Call { namespace: self.0, call }
    }

    /// Reads a key; None if there is no such key.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Stored<T>>> {
        match abi::call("storage.get", abi::storage_get, &self.of(OneKey { key })) {
            Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Writes a key whatever is there; gives its new version.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<u64> {
        self.set_with(key, value, Set::default())
    }

    /// Writes a key on conditions; gives its new version. [`Code::Conflict`] if it has another version.
    pub fn set_with<T: Serialize + ?Sized>(&self, key: &str, value: &T, options: Set) -> Result<u64> {
        let request = self.of(Write { key, value, options });
        abi::call("storage.set", abi::storage_set, &request).map(|written: Version| written.version)
    }

    /// Removes a key. One that is not there is no error.
    pub fn delete(&self, key: &str) -> Result<()> {
        abi::call("storage.delete", abi::storage_delete, &self.of(Delete { key, if_version: None })).map(|_: Value| ())
    }

    /// Removes a key that has this version, else [`Code::Conflict`].
    pub fn delete_if(&self, key: &str, version: u64) -> Result<()> {
        let request = self.of(Delete { key, if_version: Some(version) });
        abi::call("storage.delete", abi::storage_delete, &request).map(|_: Value| ())
    }

    /// Lists keys in byte order, one page at a time.
    pub fn list(&self, list: List<'_>) -> Result<Page> {
        abi::call("storage.list", abi::storage_list, &self.of(list))
    }

    /// Writes up to 100 keys: all of them or none. Gives their versions, in order.
    pub fn bulk_put<'a, T: Serialize + 'a>(
        &self,
        items: impl IntoIterator<Item = (&'a str, &'a T)>,
    ) -> Result<Vec<u64>> {
        let items = items.into_iter().map(|(key, value)| Item { key, value }).collect();
        let request = self.of(Items { items });
        abi::call("storage.bulk_put", abi::storage_bulk_put, &request).map(|written: Versions| written.versions)
    }
}

/// [`Space::get`] of the default key space.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<Stored<T>>> {
    DEFAULT.get(key)
}

/// [`Space::set`] of the default key space.
pub fn set<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<u64> {
    DEFAULT.set(key, value)
}

/// [`Space::set_with`] of the default key space.
pub fn set_with<T: Serialize + ?Sized>(key: &str, value: &T, options: Set) -> Result<u64> {
    DEFAULT.set_with(key, value, options)
}

/// [`Space::delete`] of the default key space.
pub fn delete(key: &str) -> Result<()> {
    DEFAULT.delete(key)
}

/// [`Space::delete_if`] of the default key space.
pub fn delete_if(key: &str, version: u64) -> Result<()> {
    DEFAULT.delete_if(key, version)
}

/// [`Space::list`] of the default key space.
pub fn list(list: List<'_>) -> Result<Page> {
    DEFAULT.list(list)
}

/// [`Space::bulk_put`] of the default key space.
pub fn bulk_put<'a, T: Serialize + 'a>(items: impl IntoIterator<Item = (&'a str, &'a T)>) -> Result<Vec<u64>> {
    DEFAULT.bulk_put(items)
}
