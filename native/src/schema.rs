//! JSON Schema, draft 2020-12.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::buffer::{slice, Buffer};
use crate::schema_limits;

pub struct Schema(Validator);

/// Steps of one match, and bytes of one compiled pattern: patterns come from strangers.
const MAX_BACKTRACKS: usize = 10_000;
const MAX_REGEX: usize = 256 * 1024;

fn compile(json: &[u8]) -> Result<Schema, (String, String)> {
    let schema: Value =
        serde_json::from_slice(json).map_err(|error| (String::new(), format!("The schema is not JSON: {error}.")))?;
    schema_limits::check(&schema)?;
    // Without the crate's resolver features every reference that leaves the document is an error.
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS).size_limit(MAX_REGEX))
        .build(&schema)
        .map(Schema)
        .map_err(|error| match jsonschema::draft202012::meta::validate(&schema) {
            Err(error) => (error.instance_path().to_string(), error.to_string()),
            // What the meta-schema can't see, such as a bad pattern.
            Ok(()) => (error.schema_path().to_string(), error.to_string()),
        })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_schema_new(
    json: *const u8,
    size: usize,
    pointer: *mut Buffer,
    error: *mut Buffer,
) -> *mut Schema {
    match compile(slice(json, size)) {
        Ok(schema) => Box::into_raw(Box::new(schema)),
        Err((place, reason)) => {
            *pointer = place.into();
            *error = reason.into();
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_schema_delete(schema: *mut Schema) {
    drop(Box::from_raw(schema));
}

fn line(pointer: &str, message: &str) -> String {
    Value::from(vec![pointer, message]).to_string() + "\n"
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_schema_validate(
    schema: *const Schema,
    json: *const u8,
    size: usize,
    limit: usize,
    problems: *mut Buffer,
) -> bool {
    let document: Value = match serde_json::from_slice(slice(json, size)) {
        Ok(document) => document,
        Err(error) => {
            *problems = line("", &format!("It is not JSON: {error}.")).into();
            return false;
        }
    };
    let validator = &(*schema).0;
    if validator.is_valid(&document) {
        return true;
    }
    let text: String = validator
        .iter_errors(&document)
        .take(limit)
        // Masked: the value may be a secret, and a message stays short.
        .map(|error| line(&error.instance_path().to_string(), &error.masked().to_string()))
        .collect();
    *problems = text.into();
    false
}
