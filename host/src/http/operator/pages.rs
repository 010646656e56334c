//! The pages of the console: files of the same folder as those of the store, of which only what the console is made of is shown.

use std::slice;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, any};

use crate::http::error::ApiError;
use crate::http::files::{self, Files};
use crate::plan::FileServer;

/// Where the console begins.
const CONSOLE: &str = "/console/";
/// What its page loads besides.
const PARTS: [&str; 2] = ["/theme.js", "/favicon.svg"];
/// Scripts, styles and fonts of all pages; each has a name of its own.
const ASSETS: &str = "/assets/";

/// What answers where no route does. Whoever comes without a path is shown the way.
pub(in crate::http) fn files(pages: &FileServer) -> MethodRouter {
    let files = Arc::new(Files::new(slice::from_ref(pages)));
    any(async move |request: Request| {
        let path = request.uri().path();
        if matches!(path, "/" | "/console") && matches!(*request.method(), Method::GET | Method::HEAD) {
            return Redirect::temporary(CONSOLE).into_response();
        }
        if path.starts_with(CONSOLE) || path.starts_with(ASSETS) || PARTS.contains(&path) {
            return files::serve(State(Arc::clone(&files)), request).await;
        }
        ApiError::no_such_path(path).into_response()
    })
}
