//! Why a server takes nothing, where its stream did not say: one message more, sent with a call of its own, whose status
//! tells.

use std::time::Duration;

use tonic::transport::Endpoint;

use super::content::MessageKey;
use super::shared::Shared;
use crate::proto::v1::SendRequest;
use crate::proto::v1::chat_client::ChatClient;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server says to a message like those of the run; none: it takes it.
pub async fn of_refusal(shared: &Shared) -> Option<String> {
    let url = format!("http://{}", shared.options.target.authority);
    let endpoint = Endpoint::from_shared(url).ok()?;
    let channel = endpoint
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .connect_lazy();
    let first = MessageKey {
        sender: 0,
        number: 0,
    };
    let request = SendRequest {
        name: format!("{}-why", shared.run),
        room: shared.rooms.first()?.name.clone(),
        text: shared.content.text(first),
        client_id: first.client_id(),
        ..SendRequest::default()
    };
    let refused = ChatClient::new(channel).send(request).await.err()?;
    Some(refused.message().to_owned())
}
