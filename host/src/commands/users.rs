//! What an operator does about people's roles: look who has which, grant one, take one back. Works beside a running process, whose next token
//! for that person says what they are now.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use super::audit::actor;
use super::printed::printing;
use super::{Output, database};
use crate::clock::Clock;
use crate::plan::access::{Role, Roles};
use crate::store::{User, offline};

/// What a config without a database lacks.
const NOTHING: &str = "it keeps no accounts";

/// A role that can be granted.
///
/// # Errors
/// It is none, or one that nobody is granted.
pub fn grantable(name: &str) -> Result<Role, String> {
    let accepted = Roles::STAFF.joined(", ");
    match Role::from_name(name) {
        Some(Role::Customer) => Err(format!("everybody with an account is a customer; accepted: {accepted}")),
        Some(role) => Ok(role),
        None => Err(format!("there is no role '{name}'; accepted: {accepted}")),
    }
}

/// `millrace users list`: a line for each who was granted a role, or for everybody.
#[must_use]
pub fn list(config: &Path, everybody: bool, output: Output) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
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
pub fn grant(config: &Path, email: &str, roles: &[Role]) -> ExitCode {
    change(config, email, ("grant", roles), |has| has.extend(roles.iter().map(|role| role.name().to_owned())))
}

/// `millrace users revoke`: takes roles back.
#[must_use]
pub fn revoke(config: &Path, email: &str, roles: &[Role]) -> ExitCode {
    change(config, email, ("revoke", roles), |has| has.retain(|name| !roles.iter().any(|role| role.name() == name)))
}

fn change(config: &Path, email: &str, (deed, roles): (&str, &[Role]), change: impl FnOnce(&mut BTreeSet<String>)) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, NOTHING)? else { return Ok(ExitCode::FAILURE) };
        let which = roles.iter().copied().collect::<Roles>().joined(", ");
        let entry = actor().did(Clock::system().now(), format!("users.{deed}"), "", Some(format!("{deed} {which}")));
        let Some(user) = offline::change_roles(&database, email, change, entry)? else {
            bail!(
                "nobody has an account with the e-mail '{email}'; `millrace users list --all` shows those that there are. Nothing was changed"
            );
        };
        out.done(&format!("{}\nthese roles count from the next login on; a token that was given out before keeps its own", line(&user)))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn line(user: &User) -> String {
    let roles: Vec<&str> = user.roles.iter().map(String::as_str).collect();
    let roles = if roles.is_empty() { "customer".to_owned() } else { roles.join(",") };
    format!("{} {} roles={roles}", user.email, user.id)
}

fn as_json(user: &User) -> serde_json::Value {
    serde_json::json!({"id": user.id, "email": user.email, "name": user.name, "roles": user.roles})
}
