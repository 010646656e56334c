//! What happens to a request before and to its answer after the handler: around every route ([`around`]: [`observe`], [`security`],
//! [`early`]), or around those whose config lists it ([`auth`], [`cors`], [`rate_limit`], [`request_id`]).

pub(super) mod around;
pub(super) mod auth;
pub(super) mod cors;
pub(super) mod early;
pub(super) mod observe;
pub(super) mod rate_limit;
pub(super) mod request_id;
mod security;
