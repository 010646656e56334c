//! A component that sends the request its job describes, `{service, path, headers, body, key}`, and answers with what came back; with `fail` it
//! fails with that, the time and some random numbers as its reason.

use serde_json::{Value, json};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

use bindings::world::*;

#[expect(unsafe_code, reason = "generated: the canonical ABI moves values by pointers")]
mod bindings {
    //! Generated from `wit/step.wit` and `wasi:config`.
    wit_bindgen::generate!({
        inline: r"
            package test:caller;
            world caller {
                include millrace:step/step@0.1.0;
                import wasi:config/store@0.2.0-rc.1;
            }
        ",
        path: ["../../../wit", "wit/config.wit"],
        world: "test:caller/caller",
        generate_all,
    });

    use super::Caller;
    export!(Caller);

    pub mod world {
        //! What the component uses of it.
        pub use super::Guest;
        pub use super::millrace::step::types::{Description, Failure, Job, Outcome};
        pub use super::wasi::config::store;
    }
}

struct Caller;

impl Guest for Caller {
    fn describe() -> Description {
        Description {
            name: "caller".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Calls services.".into(),
            config_schema: "{}".into(),
        }
    }

    fn process(job: Job) -> Result<Outcome, Failure> {
        let data: Value = serde_json::from_str(&job.data).map_err(|error| Failure::Permanent(format!("data: {error}")))?;
        let value = data["key"].as_str().map(|key| store::get(key).ok().flatten());
        let called = match call(&data) {
            Ok((status, body)) => json!({ "status": status, "body": body, "value": value }),
            Err(error) => json!({ "error": format!("{error:?}"), "value": value }),
        };
        if data["fail"] == true {
            return Err(Failure::Transient(format!("{called} {}", found())));
        }
        Ok(Outcome::Accepted(called.to_string()))
    }
}

/// What is different each time.
fn found() -> String {
    #[expect(clippy::disallowed_methods, reason = "it tells what the clock of the sandbox says")]
    let wall = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let steady = wasip2::clocks::monotonic_clock::now;
    let random = wasip2::random::random::get_random_u64;
    let insecure = wasip2::random::insecure_seed::insecure_seed();
    format!("{} {} {} {} {:x} {:x} {insecure:?}", wall(), wall(), steady(), steady(), random(), random())
}

fn call(data: &Value) -> Result<(u16, String), ErrorCode> {
    let headers = Fields::new();
    for (name, value) in data["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().as_bytes().to_vec();
        headers.append(name, &value).map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))?;
    }
    let request = OutgoingRequest::new(headers);
    let refused = |()| ErrorCode::HttpRequestUriInvalid;
    request.set_method(&Method::Post).map_err(refused)?;
    request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    request.set_authority(data["service"].as_str()).map_err(refused)?;
    request.set_path_with_query(data["path"].as_str()).map_err(refused)?;
    let body = request.body().map_err(refused)?;
    let pending = handle(request, None)?;
    // A body that is refused half-way shows in the answer to the request.
    let _ = send(body, data["body"].as_str().unwrap_or_default().as_bytes());
    pending.subscribe().block();
    let Some(Ok(response)) = pending.get() else { return Err(ErrorCode::HttpProtocolError) };
    let response = response?;
    Ok((response.status(), received(&response)?))
}

fn send(body: OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    for chunk in bytes.chunks(4_096) {
        stream.blocking_write_and_flush(chunk)?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_| StreamError::Closed)
}

fn received(response: &IncomingResponse) -> Result<String, ErrorCode> {
    let body: IncomingBody = response.consume().map_err(|()| ErrorCode::HttpResponseIncomplete)?;
    let stream = body.stream().map_err(|()| ErrorCode::HttpResponseIncomplete)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(65_536) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(_)) => return Err(ErrorCode::HttpResponseIncomplete),
        }
    }
}
