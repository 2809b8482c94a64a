//! Names and their tokens: a session asks the log for its name, and lets go of it at the end.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::warn;
use ulid::Ulid;

use super::Gateway;
use super::lane::{Asker, Entrance, Undecided, acknowledged};
use super::refusal::{Admission, Refusal};
use crate::proto::log::v1::{Attach, Detach, Verdict, ingress::Request};
use crate::rooms::Rooms;
use crate::state::ids::PersonId;
use crate::state::name::PersonName;

/// The longest token that is looked at.
const TOKEN_BYTES: usize = 128;

/// A name that is held by a session.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their number.
    pub id: PersonId,
    /// The name as it was first given.
    pub name: String,
    /// The secret that proves it.
    pub token: String,
    /// Whether the token was known before.
    pub returned: bool,
    /// The session that holds it.
    pub session: Ulid,
}

/// What the log keeps of a token.
#[must_use]
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Asks for a name, for a session of this run of the host.
///
/// # Errors
/// `ALREADY_EXISTS` where it is another's, `INVALID_ARGUMENT`, `UNAVAILABLE`.
pub async fn attach(gateway: &Gateway, name: &PersonName, token: &str) -> Admission<Person> {
    if token.len() > TOKEN_BYTES {
        return Err(Refusal::invalid(format!(
            "the token has {} bytes; send the one that `welcome` held",
            token.len()
        )));
    }
    let (entrance, rooms) = (&gateway.entrance, &gateway.rooms);
    let token = if token.is_empty() {
        new_token(entrance)
    } else {
        token.to_owned()
    };
    let hash = token_hash(&token);
    let returned = rooms
        .name(name)?
        .is_some_and(|state| state.token_hash == hash);
    let session = entrance.world().ulid();
    let request = Request::Attach(Attach {
        name: name.as_str().to_owned(),
        token_hash: hash.clone().into(),
        session: session.to_bytes().to_vec().into(),
        run: gateway.run.to_vec().into(),
    });
    let partition = rooms.partition_of_name(name);
    let sent = entrance.send(partition, None, &Asker::default(), "", request)?;
    let answer = match entrance.decided(sent).await {
        Ok(answer) => answer,
        Err(Undecided::NotWritten(refusal)) => return Err(refusal),
        Err(Undecided::Unknown(refusal)) => {
            // It may have been attached all the same, and then nobody would ever let go of it.
            detach_later(gateway, name.as_str(), session);
            return Err(refusal);
        }
    };
    if answer.verdict != Verdict::Handled {
        return Err(Refusal::new(Code::AlreadyExists, answer.reason));
    }
    // The fold is told of the answer after the store has it.
    let state = rooms.name(name).map_err(Refusal::from).and_then(|state| {
        state
            .filter(|state| state.token_hash == hash)
            .ok_or_else(|| Refusal::unavailable("the name was lost again; try again"))
    });
    // The log has it, and this session will not be there to let go of it.
    let state = state.inspect_err(|_| detach_later(gateway, name.as_str(), session))?;
    Ok(Person {
        id: PersonId(state.person),
        name: state.name,
        token,
        returned,
        session,
    })
}

/// Lets go of a name, without waiting for it.
pub fn detach_later(gateway: &Gateway, name: &str, session: Ulid) {
    gateway.tasks.spawn(let_go(
        gateway.entrance.clone(),
        gateway.rooms.clone(),
        name.to_owned(),
        session,
        gateway.drain.clone(),
    ));
}

/// Lets go of a name. Tries until the log has it or the server drains: then the next start lets go of it.
pub async fn detach(gateway: &Gateway, person: &Person) {
    let_go(
        gateway.entrance.clone(),
        gateway.rooms.clone(),
        person.name.clone(),
        person.session,
        gateway.drain.clone(),
    )
    .await;
}

async fn let_go(
    entrance: Entrance,
    rooms: Arc<Rooms>,
    name: String,
    session: Ulid,
    drain: CancellationToken,
) {
    let Ok(parsed) = PersonName::parse(&name) else {
        return;
    };
    let partition = rooms.partition_of_name(&parsed);
    let mut wait = Duration::from_millis(200);
    loop {
        let request = Request::Detach(Detach {
            name: name.clone(),
            session: session.to_bytes().to_vec().into(),
        });
        let sent = match entrance.send(partition, None, &Asker::default(), "", request) {
            Ok(sent) => {
                // What is durable is decided; nobody waits for it.
                rooms.waiting().forget(sent.id);
                acknowledged(sent.appending, sent.at).await
            }
            Err(refusal) => Err(refusal),
        };
        match sent {
            Ok(()) => return,
            Err(refusal) if drain.is_cancelled() => {
                warn!(
                    reason = refusal.message,
                    "a name could not be let go of; the next start does it"
                );
                return;
            }
            Err(_) => {}
        }
        tokio::select! {
            biased;
            () = drain.cancelled() => {}
            () = tokio::time::sleep(entrance.world().jitter(wait)) => {}
        }
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}

fn new_token(entrance: &Entrance) -> String {
    let mut secret = [0u8; 32];
    entrance.world().fill(&mut secret);
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}
