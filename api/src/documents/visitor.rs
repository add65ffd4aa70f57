//! Who calls the documents API, and by which credentials: a session, an applink, a public link, in that order. All of them
//! are looked at; what each is worth at a file is the records' to say.

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use upload::{Assigned, PublicLink, Right, Role};

use super::call::Call;
use super::refusal::Refusal;
use super::tokens::{self, Token};
use crate::peer::Network;
use crate::problem::ApiError;
use crate::who::{Caller, cookie};

/// The longest password of a public link, in characters. Nothing longer is hashed to see whether it is one.
pub(super) const LONGEST_PASSWORD: usize = 50;

/// Somebody, with what they showed.
pub(crate) struct Visitor {
    /// Who answers for what they do: the user, or who made the link they came by.
    pub(crate) who: String,
    /// What they are called in refusals.
    pub(crate) name: String,
    /// Whether who answers for it is a site administrator.
    pub(crate) admin: bool,
    /// Whose share and whose keys theirs are.
    pub(crate) key: String,
    /// What may give them a role, in the order in which it is tried.
    pub(crate) rights: Vec<Right>,
}

impl Visitor {
    /// The visitor, by the head of the call. Whoever writes with a session's cookie shows the token against forgery
    /// too, and whoever reads where the settings want that; to look at pictures nobody does.
    pub(super) async fn of(call: &Call) -> Result<Self, Refusal> {
        let headers = &call.headers;
        let applink = by_applink(call).await?;
        let public = header(headers, "linkid");
        let session = match (call.writes(), call.shows) {
            (true, _) => Caller::writer(&call.desk, headers).await,
            (false, true) => Caller::of(&call.desk, headers).await,
            (false, false) => Caller::reader(&call.desk, headers).await,
        };
        let public = match public {
            Some(id) => Some(by_public_link(call, id, session.as_ref().ok()).await?),
            None => None,
        };
        let mut visitor =
            Self { who: String::new(), name: String::new(), admin: false, key: String::new(), rights: Vec::new() };
        match session {
            Ok(caller) => {
                call.desk.count_request(&caller)?;
                visitor.is(&caller.user, format!("user:{}", caller.user), Right::User(caller.user.clone()));
            }
            // A stale cookie is no reason to turn a link away.
            Err(error) if applink.is_none() && public.is_none() => return Err(error.into()),
            Err(_) => {}
        }
        for (who, right) in applink.into_iter().chain(public) {
            let key = match &right {
                Right::User(id) => format!("user:{id}"),
                Right::Applink(id) => format!("applink:{id}"),
                Right::PublicLink(id) => format!("publiclink:{id}"),
            };
            if visitor.rights.is_empty() {
                call.desk.count_for(&key)?;
            }
            visitor.is(&who, key, right);
        }
        let user = call.desk.places.records.user(&visitor.who).await?;
        visitor.admin = user.as_ref().is_some_and(|user| user.role == Role::Admin);
        visitor.name = user.map_or_else(|| visitor.who.clone(), |user| user.name);
        Ok(visitor)
    }

    fn is(&mut self, who: &str, key: String, right: Right) {
        if self.rights.is_empty() {
            (self.who, self.key) = (who.to_owned(), key);
        }
        self.rights.push(right);
    }
}

/// A header that is text, whatever the case of its name.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// Who comes by an applink: as the user it was made for, or, where that is nobody in particular, for who made it.
async fn by_applink(call: &Call) -> Result<Option<(String, Right)>, Refusal> {
    let (id, token) = (header(&call.headers, "applinkid"), header(&call.headers, "accesstoken"));
    let (id, token) = match (id, token) {
        (None, None) => return Ok(None),
        (Some(id), Some(token)) => (id, token),
        _ => return Err(Refusal::missing("accessToken")),
    };
    let link = call.desk.places.records.applink(id).await?.ok_or_else(Refusal::bad_link)?;
    let token = tokens::read(&call.desk, &link, token, Token::Access).await.ok_or_else(Refusal::bad_link)?;
    if token.is_over(call.desk.places.records.clock().now()) {
        return Err(Refusal::bad_link());
    }
    let who = match &link.assigned {
        Assigned::Users(users) => users.first().cloned().unwrap_or_default(),
        _ => link.created_by.clone(),
    };
    Ok(Some((who, Right::Applink(link.id))))
}

async fn by_public_link(call: &Call, id: &str, session: Option<&Caller>) -> Result<(String, Right), Refusal> {
    let records = &call.desk.places.records;
    let now = records.clock().now();
    let link = records.public_link(id).await?.filter(|link| link.expires_at.is_none_or(|at| at > now));
    let link = link.ok_or_else(Refusal::bad_link)?;
    match (&link.assigned, session) {
        (Assigned::Everybody, _) | (Assigned::ServiceInstance, Some(_)) => {}
        (Assigned::Users(users), Some(caller)) if users.contains(&caller.user) => {}
        (Assigned::Users(_), Some(_)) => return Err(Refusal::bad_link()),
        (_, None) => return Err(ApiError::NotLoggedIn("this link is for people who are logged in").into()),
    }
    if let Some(hash) = link.password_hash.clone() {
        check_code(call, &link, hash).await?;
    }
    Ok((link.created_by, Right::PublicLink(link.id)))
}

/// Whether the cookie holds the link's access code. Few may be tried, and one that was right is not hashed again for a
/// while: each hash costs 19 MiB and tens of milliseconds.
async fn check_code(call: &Call, link: &PublicLink, hash: String) -> Result<(), Refusal> {
    let code = cookie(&call.headers, &format!("dAccessCode-{}", link.id)).ok_or_else(Refusal::no_access_code)?;
    let code = percent_decode_str(code).decode_utf8().map_err(|_| Refusal::no_access_code())?.into_owned();
    if code.len() > LONGEST_PASSWORD * 4 {
        return Err(Refusal::no_access_code());
    }
    let desk = &call.desk;
    let now = desk.places.records.clock().now();
    let proof: [u8; 32] = Sha256::digest(format!("{}\0{hash}\0{code}", link.id)).into();
    if desk.opened_links.knows(&proof, now) {
        return Ok(());
    }
    let too_often = |retry_after| ApiError::TooMany {
        code: "too_many_access_codes",
        why: format!("too many access codes were tried; try again in {retry_after} seconds"),
        retry_after,
    };
    let network = Network::from(call.peer);
    desk.access_codes.count_network(network, now).map_err(too_often)?;
    let attempt = desk.access_codes.count(network, &link.id, now).map_err(too_often)?;
    if !desk.passwords.verify(code, Some(hash)).await? {
        return Err(Refusal::no_access_code());
    }
    desk.access_codes.right(attempt, now);
    desk.opened_links.note(proof, now);
    Ok(())
}
