//! What a new component begins with, for those who make one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::instances::private;
use crate::http::error::{ApiError, quoted};
use crate::http::extract::{Asked, Id};
use crate::services::ServiceError;
use crate::templates::{self, Language};

/// The program that builds take, which is found in the path of whoever builds.
const PROGRAM: &str = "millrace";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateQuery {
    name: Option<String>,
}

/// The files of a new component, as `millrace new` makes them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Template")]
pub(super) struct TemplateBody {
    /// What it is called.
    name: String,
    /// Its language.
    language: &'static str,
    /// By path.
    files: Vec<FileBody>,
}

/// A file of a new component.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TemplateFile")]
struct FileBody {
    /// Its path in the folder, with slashes.
    path: String,
    /// What is in it.
    text: String,
    /// It is a script that can be run.
    script: bool,
}

/// A name that is taken for a component.
pub(super) fn name(text: &str) -> Result<String, ApiError> {
    templates::name(text).map_err(|why| ServiceError::field("name", why).into())
}

pub(super) async fn show(Id(language): Id, Asked(query): Asked<TemplateQuery>) -> Result<Response, ApiError> {
    let Some(language) = Language::named(&language) else {
        let names: Vec<&str> = Language::ALL.iter().map(|language| language.name()).collect();
        let detail = format!("there is no template for '{}'; there are templates for {}", quoted(&language), names.join(", "));
        return Err(ApiError::new(StatusCode::NOT_FOUND, detail));
    };
    let name = name(&query.name.unwrap_or_default())?;
    let files = templates::folder(language, &name, PROGRAM).map_err(ApiError::internal)?.into_iter();
    let files = files.map(|templates::File { path, text, is_script }| FileBody { path, text, script: is_script }).collect();
    Ok(private(Json(TemplateBody { name, language: language.name(), files })))
}
