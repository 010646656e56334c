//! What waits, and what mends it.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::instances::{Body, private};
use crate::http::error::ApiError;
use crate::http::state::Serving;
use crate::http::writes;
use crate::services::console::{Actor, Console, MendBody};

pub(super) async fn show(State(serving): State<Serving>, console: Console, actor: Actor) -> Result<Response, ApiError> {
    let _turn = serving.app.lists.turn(actor.who()).await?;
    Ok(private(Json(console.waiting().await?)))
}

macro_rules! mend {
    ($name:ident, $does:ident) => {
        pub(super) async fn $name(
            State(serving): State<Serving>,
            console: Console,
            actor: Actor,
            Body(mend): Body<MendBody>,
        ) -> Result<Response, ApiError> {
            let write = async move { console.$does(&actor, &mend).await };
            Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
        }
    };
}

mend!(release, release_runs);
mend!(redrive, redrive);
mend!(discard, discard);
