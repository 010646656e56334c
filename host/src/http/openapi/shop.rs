//! What the admin of a shop takes and answers.

use serde_json::{Value, json};

use super::JSON;
use super::answers::{Answers, Header};
use super::schemas::{Schemas, array_of};
use super::shape::{MISSING, Shape, idempotency_key, parameter};
use crate::plan::{ResourceHandler, ShopOperation};
use crate::services::resources::{Imported, LevelPage, MAX_PAGE, MovePage, Prices, USUAL_PAGE};
use crate::services::shop::ledger::{Asked, StockMove};
use crate::services::shop::status::Status;

const WRONG_PARAMETER: (u16, &str) = (422, "A parameter is wrong; `errors` names it");

pub(super) fn of_shop(handler: &ResourceHandler, operation: ShopOperation, schemas: &mut Schemas) -> Shape {
    let kind = &handler.kind;
    let ok = |schema: Value, description: &str| Answers::default().content(200, description, JSON, schema);
    let (summary, parameters, body, answers) = match operation {
        ShopOperation::Search => {
            let items = array_of(&schemas.resource(handler));
            let next = json!({"type": ["string", "null"], "description": "For the next page, to be sent as `cursor`; null on the last."});
            let page = json!({"type": "object", "required": ["items", "nextCursor"], "properties": {"items": items, "nextCursor": next}});
            let status = json!({"type": "string", "enum": Status::ALL.map(Status::name)});
            let own = vec![
                parameter("search", "query", false, "Only those whose name or identifier has this, in any case", json!({"type": "string"})),
                parameter("status", "query", false, "Only those with this status", status),
            ];
            let answers = ok(page, "A page, by identifier").problem(schemas, WRONG_PARAMETER.0, WRONG_PARAMETER.1);
            (format!("Search {kind} of any status"), own.into_iter().chain(page_parameters()).collect(), None, answers)
        }
        ShopOperation::Prices => {
            let answers = ok(schemas.answer::<Prices>(), "The newest first").problem(schemas, MISSING.0, MISSING.1);
            (format!("What one of {kind} has cost"), vec![], None, answers)
        }
        ShopOperation::Import => {
            let digest = json!({"type": "string", "pattern": "^[0-9a-f]{64}$"});
            let parameters = vec![
                parameter(
                    "dryRun",
                    "query",
                    false,
                    "Whether nothing is changed; if not given, it is where there is no digest",
                    json!({"type": "boolean"}),
                ),
                parameter("digest", "query", false, "Of the preview: what is done has to be what was seen", digest),
            ];
            let answers = ok(schemas.answer::<Imported>(), "What each row does, or would do");
            let answers = answers.problem(schemas, 409, "The table or what it changes is not what was previewed: code is preview_stale");
            (format!("Take {kind} in from a table: preview, then do it"), parameters, None, answers)
        }
        ShopOperation::Levels => {
            let answers = ok(schemas.answer::<LevelPage>(), "A page, by sku").problem(schemas, WRONG_PARAMETER.0, WRONG_PARAMETER.1);
            let search =
                parameter("search", "query", false, "Only those whose name or identifier has this, in any case", json!({"type": "string"}));
            (format!("What is on hand of {kind}"), std::iter::once(search).chain(page_parameters()).collect(), None, answers)
        }
        ShopOperation::Moves => {
            let answers = ok(schemas.answer::<MovePage>(), "A page, newest first");
            let answers = answers.problems(schemas, &[MISSING, WRONG_PARAMETER]);
            (format!("The ledger of the stock of one of {kind}"), page_parameters(), None, answers)
        }
        ShopOperation::Move => {
            let made = Answers::default().content(
                201,
                "Made; with a key that was used before, the move that was made then",
                JSON,
                schemas.answer::<StockMove>(),
            );
            let refused = "Fewer would be left than are reserved (code below_reserved), or the count was made against something else (code count_stale)";
            let answers = made.header(201, Header::Replayed).problems(schemas, &[MISSING, (409, refused)]);
            (format!("Change what is on hand of one of {kind}"), vec![idempotency_key()], Some((schemas.request::<Asked>(), true)), answers)
        }
    };
    Shape { summary, tag: kind.clone(), parameters, body, answers }
}

fn page_parameters() -> Vec<Value> {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": USUAL_PAGE});
    vec![
        parameter("limit", "query", false, "Maximum number of items", limit),
        parameter("cursor", "query", false, "The nextCursor of the page before, unchanged", json!({"type": "string", "minLength": 1})),
    ]
}
