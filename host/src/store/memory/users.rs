//! People with a login, in memory.

use jiff::Timestamp;

use super::super::users::Applied;
use super::super::{Changed, MAX_RESETS, OutboxRow, Reset, Standing, StoreError, ToldEpoch, User, UserChange};
use super::state::{State, to_micros};
use crate::text::email_key;

impl State {
    pub(super) fn add_user(&mut self, mut user: User) -> Result<(), StoreError> {
        if self.user_by_email(&user.email).is_some() {
            return Err(StoreError::Taken("email"));
        }
        if self.accounts.by_id.contains_key(&user.id) {
            return Err(StoreError::Taken("id"));
        }
        user.created_at = to_micros(user.created_at);
        self.accounts.told.insert(user.id.clone(), user.epoch);
        self.accounts.by_id.insert(user.id.clone(), user);
        Ok(())
    }

    pub(super) fn update_user(&mut self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError> {
        let other = email.and_then(|email| self.user_by_email(email)).filter(|other| other.id != id);
        let Some(user) = self.accounts.by_id.get_mut(id) else { return Ok(None) };
        if other.is_some() {
            return Err(StoreError::Taken("email"));
        }
        if let Some(name) = name {
            name.clone_into(&mut user.name);
        }
        if let Some(email) = email {
            email.clone_into(&mut user.email);
        }
        let user = user.clone();
        if email.is_some() {
            self.accounts.forget_resets(id);
        }
        Ok(Some(user))
    }

    pub(super) fn change_user(&mut self, id: &str, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let Some(before) = self.user(id) else { return Ok(None) };
        let Some(Applied { user, lost, audit: entry }) = change.apply(&before) else {
            return Ok(Some(Changed { user: before, done: false }));
        };
        if let Some(role) = lost
            && !self.accounts.by_id.values().any(|other| other.id != id && other.acts_as(role))
        {
            return Err(StoreError::Last(role));
        }
        if user.password_hash != before.password_hash || user.disabled {
            self.accounts.forget_resets(id);
        }
        self.accounts.by_id.insert(id.to_owned(), user.clone());
        self.note(entry);
        Ok(Some(Changed { user, done: true }))
    }

    pub(super) fn user(&self, id: &str) -> Option<User> {
        self.accounts.by_id.get(id).cloned()
    }

    pub(super) fn user_by_email(&self, email: &str) -> Option<User> {
        let key = email_key(email);
        self.accounts.by_id.values().find(|user| email_key(&user.email) == key).cloned()
    }

    pub(super) fn users(&self, search: &str, has_roles: bool, after: &str, limit: usize) -> Vec<User> {
        let search = search.to_ascii_lowercase();
        let has = |text: &str| text.to_ascii_lowercase().contains(&search);
        let found = self.accounts.by_id.values().filter(|user| user.id.as_str() > after && !(has_roles && user.roles.is_empty()));
        found.filter(|user| has(&user.email) || has(&user.name) || has(&user.id)).take(limit).cloned().collect()
    }

    pub(super) fn standing(&self, id: &str) -> Option<Standing> {
        let kept = self.accounts.by_id.get(id).map(|user| Standing::Kept { epoch: user.epoch, disabled: user.disabled });
        kept.or_else(|| self.accounts.heard.get(id).map(|&(epoch, at)| Standing::Heard { epoch, at }))
    }

    pub(super) fn hear_epoch(&mut self, id: &str, epoch: u64, at: i64) {
        let heard = self.accounts.heard.entry(id.to_owned()).or_insert((epoch, at));
        if at >= heard.1 {
            *heard = (epoch, at);
        }
    }

    pub(super) fn untold(&self, limit: usize) -> Vec<User> {
        let is_untold = |user: &&User| self.accounts.told.get(&user.id) != Some(&user.epoch);
        self.accounts.by_id.values().filter(is_untold).take(limit).cloned().collect()
    }

    pub(super) fn tell(&mut self, told: Vec<ToldEpoch>) {
        for ToldEpoch { user_id, epoch, event } in told {
            let is_news = self.accounts.told.get(&user_id).is_some_and(|before| *before != epoch);
            if is_news {
                self.accounts.told.insert(user_id, epoch);
                self.add_event(event);
            }
        }
    }

    pub(super) fn add_reset(&mut self, mut reset: Reset, now: Timestamp, event: OutboxRow) {
        reset.expires_at = to_micros(reset.expires_at);
        let resets = &mut self.accounts.resets;
        resets.retain(|other| other.expires_at > to_micros(now));
        resets.sort_by(|a, b| b.expires_at.cmp(&a.expires_at).then_with(|| a.digest.cmp(&b.digest)));
        let mut others = 0;
        resets.retain(|other| {
            others += usize::from(other.user_id == reset.user_id);
            other.user_id != reset.user_id || others < MAX_RESETS
        });
        if resets.iter().all(|other| other.digest != reset.digest) {
            resets.push(reset);
        }
        self.add_event(event);
    }

    pub(super) fn reset_of(&self, digest: &str, now: Timestamp) -> Option<String> {
        let is_good = |reset: &&Reset| reset.digest == digest && reset.expires_at > to_micros(now);
        self.accounts.resets.iter().find(is_good).map(|reset| reset.user_id.clone())
    }

    pub(super) fn use_reset(&mut self, digest: &str, now: Timestamp, change: UserChange) -> Result<Option<Changed>, StoreError> {
        let Some(id) = self.reset_of(digest, now) else { return Ok(None) };
        let changed = self.change_user(&id, change)?;
        self.accounts.forget_resets(&id);
        Ok(changed)
    }
}
