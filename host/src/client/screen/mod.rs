//! stub
pub async fn run(
    live: super::live::Live,
    channel: tonic::transport::Channel,
    name: &str,
    room: &str,
    quit: impl Future<Output = ()>,
) -> std::io::Result<super::plain::End> {
    let _ = (live, channel, name, room);
    quit.await;
    Ok(super::plain::End::Done)
}
