//! User administration for the subcommands of the binary: the first administrator, users, tokens, keys.

use domain::{hex, random_bytes, random_id};
use records::{Records, Role, User};

use crate::auth::password::hash_password;
use crate::auth::realm::RealmSettings;
use crate::auth::realm_names::RealmNames;
use crate::auth::session_token::Session;
use crate::auth::signing_keys::{SigningKeys, add_key};
use crate::open_error::OpenError;
use crate::resource::is_unique_part;

/// The administrator that the first start created.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    /// The login address.
    pub email: String,
    /// The password if it was generated, to be shown once. None if it is from the settings.
    pub password: Option<String>,
}

/// Creates the administrator on a first start, and returns the data for the first login. None if users exist, or if
/// another process created the administrator at the same time. Only the process that created the administrator knows
/// the password.
///
/// # Errors
/// Any database error, or a machine without randomness.
pub async fn ensure_admin(records: &Records, realm: &RealmSettings) -> Result<Option<FirstAdmin>, OpenError> {
    if !records.has_no_users().await? {
        return Ok(None);
    }
    let email = match realm.admin_email.as_str() {
        "" => format!("admin@{}.example", realm.fedmember.to_lowercase()),
        email => email.to_owned(),
    };
    let (password, generated) = match realm.admin_password.expose() {
        "" => {
            let password = generate_password()?;
            (password.clone(), Some(password))
        }
        password => (password.to_owned(), None),
    };
    let new = NewUser { id: "admin".to_owned(), email: email.clone(), name: "Administrator".to_owned(), password };
    validate(&new)?;
    let admin = new.into_user(Role::Admin).await?;
    let added = records.insert_user_if_absent(&admin).await?;
    Ok(added.then_some(FirstAdmin { email, password: generated }))
}

/// Generates a password that cannot be guessed and is easy to type: 100 bits.
///
/// # Errors
/// A machine without randomness.
pub fn generate_password() -> Result<String, OpenError> {
    let random: [u8; 13] = random_bytes().map_err(|error| OpenError::InvalidInput(error.to_string()))?;
    let digits = hex(&random);
    let groups: Vec<&str> = (0..5).filter_map(|group| digits.get(group * 5..group * 5 + 5)).collect();
    Ok(groups.join("-"))
}

/// The longest e-mail address that can be used to log in, in bytes (RFC 5321).
pub(super) const MAX_EMAIL_BYTES: usize = 254;

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The unique part of `<unique>.<fed>`: letters, digits, `-`, `_`, `.`, `~`.
    pub id: String,
    /// The login address.
    pub email: String,
    /// The display name.
    pub name: String,
    /// The first password.
    pub password: String,
}

/// Refuses an invalid id or an invalid address.
fn validate(new: &NewUser) -> Result<(), OpenError> {
    if !is_unique_part(&new.id) {
        return Err(OpenError::InvalidInput(format!(
            "\"{}\" is no user id; write 1 to 128 letters, digits, '-', '_', '.' or '~'",
            new.id
        )));
    }
    if !new.email.contains('@') || new.email.len() > MAX_EMAIL_BYTES {
        return Err(OpenError::InvalidInput(format!(
            "\"{}\" is no e-mail address; write one with an \"@\" and at most {MAX_EMAIL_BYTES} bytes",
            new.email
        )));
    }
    Ok(())
}

impl NewUser {
    /// Hashes the password, which takes tens of milliseconds, and returns the user.
    async fn into_user(self, role: Role) -> Result<User, OpenError> {
        let password_hash = hash_password_blocking(self.password).await?;
        let email = self.email.to_lowercase();
        Ok(User { id: self.id, email, name: self.name, password_hash, role, disabled: false })
    }
}

/// Adds a user. Hashing the password takes tens of milliseconds.
///
/// # Errors
/// An id or e-mail address that is in use already or malformed. Any database error.
pub async fn add_user(records: &Records, new: NewUser, role: Role) -> Result<User, OpenError> {
    validate(&new)?;
    if records.user(&new.id).await?.is_some() {
        return Err(OpenError::InvalidInput(format!("the user \"{}\" exists already; choose another id", new.id)));
    }
    if records.user_by_email(&new.email).await?.is_some() {
        return Err(OpenError::InvalidInput(format!(
            "the e-mail address \"{}\" is in use already; choose another one",
            new.email
        )));
    }
    let user = new.into_user(role).await?;
    records.upsert_user(&user).await?;
    Ok(user)
}

/// Changes a user: the password, the role, disabled or not. An argument that is None changes nothing. A new
/// password, or disabling the user, ends all sessions and issued tokens of the user.
///
/// # Errors
/// A user that does not exist. Any database error.
pub async fn change_user(
    records: &Records,
    id: &str,
    password: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
) -> Result<User, OpenError> {
    let user = records.user(id).await?;
    let mut user = user.ok_or_else(|| OpenError::InvalidInput(format!("there is no user \"{id}\"")))?;
    if let Some(password) = password {
        user.password_hash = hash_password_blocking(password).await?;
    }
    user.role = role.unwrap_or(user.role);
    user.disabled = disabled.unwrap_or(user.disabled);
    records.upsert_user(&user).await?;
    Ok(user)
}

async fn hash_password_blocking(password: String) -> Result<String, OpenError> {
    let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    let hashed = hashed.map_err(|error| OpenError::InvalidInput(error.to_string()))?;
    hashed.map_err(|error| OpenError::InvalidInput(error.to_string()))
}

/// Ends all sessions of a user, and all bearer tokens that were issued for the user.
///
/// # Errors
/// A user that does not exist. Any database error.
pub async fn end_sessions(records: &Records, id: &str) -> Result<(), OpenError> {
    let exists = records.end_sessions(id).await?;
    if exists { Ok(()) } else { Err(OpenError::InvalidInput(format!("there is no user \"{id}\""))) }
}

/// Issues a bearer token for a user, valid for `lifetime`. The token has the format of a session cookie. The records
/// have a row for it, as for a session. So the token ends when all sessions of the user are ended. Its signing key is
/// kept until the token expires.
///
/// # Errors
/// A user that does not exist. Any database error.
pub async fn issue_token(
    records: &Records,
    realm: &RealmSettings,
    id: &str,
    lifetime: std::time::Duration,
) -> Result<String, OpenError> {
    let user = records.user(id).await?.filter(|user| !user.disabled);
    let user =
        user.ok_or_else(|| OpenError::InvalidInput(format!("there is no user \"{id}\", or the user is disabled")))?;
    let realm_names = RealmNames::from_fedmember(&realm.fedmember)?;
    let signing_keys = SigningKeys::load(records).await?;
    let now = records.clock().now();
    let life = jiff::SignedDuration::try_from(lifetime).map_err(|error| OpenError::InvalidInput(error.to_string()))?;
    let expires = now.saturating_add(life).map_err(|error| OpenError::InvalidInput(error.to_string()))?;
    let no_key = || OpenError::InvalidInput("there is no key to sign with".to_owned());
    let token = random_id();
    let changed = || OpenError::InvalidInput(format!("the user \"{id}\" was changed meanwhile; try again"));
    if !records.add_session(token, &user, expires).await? {
        return Err(changed());
    }
    if !records.extend_signing_key(&signing_keys.signing_key_id().ok_or_else(no_key)?, expires).await? {
        return Err(no_key());
    }
    let session = Session { token_id: token, user_id: user.id, name: user.name, issued_at: now, expires_at: expires };
    session.sign(&realm_names.fedmember, &signing_keys).ok_or_else(no_key)
}

/// Creates a new signing key, and returns its id. Running processes sign with it within one minute. Signatures of old
/// keys stay valid until they expire, and then those keys are deleted.
///
/// # Errors
/// Any database error, or a machine without randomness.
pub async fn rotate_keys(records: &Records) -> Result<String, OpenError> {
    Ok(add_key(records).await?)
}
