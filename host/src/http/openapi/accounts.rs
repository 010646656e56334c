//! What is done with accounts: what it takes, and what it answers.

use serde_json::{Value, json};

use super::JSON;
use super::answers::Answers;
use super::schemas::Schemas;
use super::shape::{MISSING, Shape, parameter};
use crate::http::accounts::{EnrolledBody, EnrolmentBody, SessionBody, UserBody};
use crate::http::staff::{AccountBody, AccountsBody, ContactBody};
use crate::plan::AccountOperation;
use crate::services::users::{
    Code, Confirmation, Credentials, Forgotten, MAX_USERS, PasswordChange, PasswordReset, ProfileChange, Reason, Registration, RolesChange,
    USUAL_USERS,
};

fn account(summary: &str, body: Option<Value>, answers: Answers) -> Shape {
    Shape { summary: summary.to_owned(), tag: "accounts".to_owned(), parameters: vec![], body: body.map(|schema| (schema, true)), answers }
}

/// What an operation on accounts takes and answers.
pub(super) fn shape(operation: AccountOperation, schemas: &mut Schemas) -> Shape {
    match operation {
        AccountOperation::Register => {
            let answers = Answers::default().content(201, "The account and a token", JSON, schemas.answer::<SessionBody>());
            let answers = answers.problems(schemas, &[(403, "Registration is closed"), (409, "The e-mail is taken")]);
            account("Open an account", Some(schemas.request::<Registration>()), answers)
        }
        AccountOperation::Login => {
            let answers = Answers::default().content(200, "A token", JSON, schemas.answer::<SessionBody>());
            let answers = answers.problems(
                schemas,
                &[
                    (401, "Invalid credentials; or, with the code second-factor-required, a code is missing or wrong"),
                    (429, "Too many wrong passwords for this account"),
                ],
            );
            account("Log in", Some(schemas.request::<Credentials>()), answers)
        }
        AccountOperation::Profile => {
            let answers = Answers::default().content(200, "The account", JSON, schemas.answer::<UserBody>());
            account("The account of the token", None, answers)
        }
        AccountOperation::UpdateProfile => {
            let answers = Answers::default().content(200, "The account", JSON, schemas.answer::<UserBody>());
            let refused = [(403, "`currentPassword` is not the password of the account"), (409, "The e-mail is taken")];
            let answers = answers.problems(schemas, &refused);
            account("Change name, e-mail or both", Some(schemas.request::<ProfileChange>()), answers)
        }
        AccountOperation::Renew => {
            let answers = Answers::default().content(
                200,
                "A new token, for the roles that the account has now",
                JSON,
                schemas.answer::<SessionBody>(),
            );
            account("Renew the token", None, answers)
        }
        AccountOperation::Sudo => {
            let answers = Answers::default().content(200, "A token for dangerous acts", JSON, schemas.answer::<SessionBody>());
            let refused = [
                (401, "No valid token; or, with the code second-factor-required, a code is missing or wrong"),
                (403, "`password` is not the password of the account"),
                (429, "Too many wrong passwords for this account"),
            ];
            account("Show the password again", Some(schemas.request::<Confirmation>()), answers.problems(schemas, &refused))
        }
        AccountOperation::ListUsers
        | AccountOperation::Contact
        | AccountOperation::SetRoles
        | AccountOperation::Disable
        | AccountOperation::Enable => of_others(operation, schemas),
        AccountOperation::ChangePassword | AccountOperation::ForgottenPassword | AccountOperation::ResetPassword => {
            of_passwords(operation, schemas)
        }
        AccountOperation::EnrolFactor | AccountOperation::ConfirmFactor | AccountOperation::RemoveFactor => of_factors(operation, schemas),
    }
}

fn of_passwords(operation: AccountOperation, schemas: &mut Schemas) -> Shape {
    let none = Answers::default();
    match operation {
        AccountOperation::ChangePassword => {
            let answers = none.content(200, "A token; all others of the account have ended", JSON, schemas.answer::<SessionBody>());
            let refused =
                [(403, "`currentPassword` is not the password of the account"), (429, "Too many wrong passwords for this account")];
            account("Set another password", Some(schemas.request::<PasswordChange>()), answers.problems(schemas, &refused))
        }
        AccountOperation::ForgottenPassword => {
            let answers = none.empty(202, "If there is such an account, a link for another password is sent to it");
            let answers = answers.problem(schemas, 429, "Asked for too often");
            account("Ask for a link for another password", Some(schemas.request::<Forgotten>()), answers)
        }
        _ => {
            let answers = none.empty(204, "The password is set; all tokens of the account have ended");
            let answers = answers.problem(schemas, 403, "The link is not valid, or not any more");
            account("Set another password by the link", Some(schemas.request::<PasswordReset>()), answers)
        }
    }
}

fn of_factors(operation: AccountOperation, schemas: &mut Schemas) -> Shape {
    let none = Answers::default();
    match operation {
        AccountOperation::EnrolFactor => {
            let answers = none.content(200, "A key for an authenticator app", JSON, schemas.answer::<EnrolmentBody>());
            account("Begin to set up a second factor", None, answers.problem(schemas, 409, "There is a second factor already"))
        }
        AccountOperation::ConfirmFactor => {
            let answers = none.content(200, "A token, and codes for who has lost the device", JSON, schemas.answer::<EnrolledBody>());
            let answers = answers.problem(schemas, 403, "The code is none of the key that was given out last");
            account("Ask for a second factor from now on", Some(schemas.request::<Code>()), answers)
        }
        _ => {
            let answers = none.content(200, "A token; all others of the account have ended", JSON, schemas.answer::<SessionBody>());
            account("Remove the second factor", None, answers.problem(schemas, 404, "There is no second factor"))
        }
    }
}

fn of_others(operation: AccountOperation, schemas: &mut Schemas) -> Shape {
    if operation == AccountOperation::ListUsers {
        let page = Answers::default().content(200, "A page of accounts", JSON, schemas.answer::<AccountsBody>());
        let answers = page.problem(schemas, 422, "`limit`, `search` or `cursor` is wrong; `errors` names it");
        let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_USERS, "default": USUAL_USERS});
        let text = || json!({"type": "string", "maxLength": 254});
        let parameters = vec![
            parameter("search", "query", false, "A part of the e-mail, the name or the id", text()),
            parameter("staff", "query", false, "Only those who have a role", json!({"type": "boolean", "default": false})),
            parameter("cursor", "query", false, "The nextCursor of the page before, unchanged", text()),
            parameter("limit", "query", false, "Maximum number of items", limit),
        ];
        return Shape { parameters, ..account("List accounts", None, answers) };
    }
    if operation == AccountOperation::Contact {
        let answers = Answers::default().content(200, "Who it is", JSON, schemas.answer::<ContactBody>());
        return account("Whose account it is", None, answers.problems(schemas, &[MISSING]));
    }
    let refused = [MISSING, (409, "Nobody else is an admin")];
    let answers = Answers::default().content(200, "The account", JSON, schemas.answer::<AccountBody>()).problems(schemas, &refused);
    match operation {
        AccountOperation::SetRoles => account("Give somebody other roles", Some(schemas.request::<RolesChange>()), answers),
        AccountOperation::Disable => account("Keep somebody out", Some(schemas.request::<Reason>()), answers),
        _ => account("Let somebody log in again", Some(schemas.request::<Reason>()), answers),
    }
}
