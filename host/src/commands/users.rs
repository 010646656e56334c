//! What an operator does about people: look who has which role, grant one, take one back, keep somebody out. Works beside a running process, which
//! believes tokens from before no more.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use super::audit::actor;
use super::printed::printing;
use super::{Output, database_that};
use crate::clock::Clock;
use crate::plan::access::{Role, Roles};
use crate::plan::{AccountOperation, Endpoint, Plan, Route};
use crate::store::{User, UserChange, offline};

/// What a config without a database lacks.
const NOTHING: &str = "it keeps no accounts";
/// What has become of the tokens of somebody who is not what they were.
const ENDED: &str = "tokens that were given out before end within a second at the process that keeps the accounts; elsewhere when the event comes, or \
                     when they expire";
/// What has become of the others'.
const UNCHANGED: &str = "that is what the account was already, so its tokens are still good";

/// `millrace users list`: a line for each who was granted a role, or for everybody.
#[must_use]
pub fn list(config: &Path, everybody: bool, output: Output) -> ExitCode {
    printing(|out| {
        let Some(database) = database_that(config, NOTHING, keeps_accounts)? else { return Ok(ExitCode::FAILURE) };
        let users = offline::users(&database, everybody)?;
        if output == Output::Json {
            let users: Vec<_> = users.iter().map(as_json).collect();
            writeln!(out, "{:#}", serde_json::Value::from(users))?;
            return Ok(ExitCode::SUCCESS);
        }
        users.iter().try_for_each(|user| writeln!(out, "{}", line(user)))?;
        writeln!(out, "{} users{}", users.len(), if everybody { "" } else { " with roles" })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace users grant`: gives the person with this e-mail roles beyond those that they have.
#[must_use]
pub fn grant(config: &Path, email: &str, roles: Vec<Role>) -> ExitCode {
    let deed = format!("grant {}", listed(&roles));
    let grant = move |user: &mut User| user.roles.extend(roles.iter().map(|role| role.name().to_owned()));
    change(config, email, ("grant", deed), grant)
}

/// `millrace users revoke`: takes roles back.
#[must_use]
pub fn revoke(config: &Path, email: &str, roles: Vec<Role>) -> ExitCode {
    let deed = format!("revoke {}", listed(&roles));
    let revoke = move |user: &mut User| user.roles.retain(|name| !roles.iter().any(|role| role.name() == name));
    change(config, email, ("revoke", deed), revoke)
}

/// `millrace users disable`, and `enable`: the person with this e-mail may not log in any more, or may again.
#[must_use]
pub fn disable(config: &Path, email: &str, disabled: bool) -> ExitCode {
    let deed = if disabled { "disable" } else { "enable" };
    change(config, email, (deed, deed.to_owned()), move |user: &mut User| user.disabled = disabled)
}

/// `millrace users reset-second-factor`: the person with this e-mail logs in with the password alone, and sets up another one where it is needed.
#[must_use]
pub fn reset_second_factor(config: &Path, email: &str) -> ExitCode {
    let deed = "reset-second-factor";
    change(config, email, (deed, deed.to_owned()), |user: &mut User| user.second_factor = None)
}

/// Whoever lets people in keeps the accounts.
fn keeps_accounts(plan: &Plan) -> bool {
    let lets_in = |route: &Route| matches!(route.endpoint, Endpoint::Account(AccountOperation::Login | AccountOperation::Register));
    plan.routes.iter().any(lets_in)
}

fn listed(roles: &[Role]) -> String {
    roles.iter().copied().collect::<Roles>().joined(", ")
}

fn change(config: &Path, email: &str, (deed, reason): (&str, String), change: impl FnOnce(&mut User) + Send + 'static) -> ExitCode {
    printing(|out| {
        let Some(database) = database_that(config, NOTHING, keeps_accounts)? else { return Ok(ExitCode::FAILURE) };
        let before = offline::user(&database, email)?;
        let entry = actor().did(Clock::system().now(), format!("users.{deed}"), "", Some(reason));
        let change = UserChange::new(|user| {
            change(user);
            true
        });
        let (Some(before), Some(user)) = (before, offline::change_user(&database, email, change, entry)?) else {
            bail!(
                "nobody has an account with the e-mail '{email}'; `millrace users list --all` shows those that there are. Nothing was changed"
            );
        };
        let tokens = if user.epoch == before.epoch { UNCHANGED } else { ENDED };
        out.done(&format!("{}\n{tokens}", line(&user)))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(user: &User) -> String {
    let roles: Vec<&str> = user.roles.iter().map(String::as_str).collect();
    let roles = if roles.is_empty() { "customer".to_owned() } else { roles.join(",") };
    let disabled = if user.disabled { " disabled" } else { "" };
    format!("{} {} roles={roles}{disabled}", user.email, user.id)
}

fn as_json(user: &User) -> serde_json::Value {
    serde_json::json!({"id": user.id, "email": user.email, "name": user.name, "roles": user.roles, "disabled": user.disabled})
}
