use super::*;

async fn enter(places: &Arc<ConnectionLimit>, peer: &str) -> Result<ConnectionPermit, NoPlace> {
    places.enter(peer.parse().unwrap()).await
}

/// Leaves when another wants the place.
fn leave_when_evicted(place: ConnectionPermit) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { place.eviction().await })
}

#[tokio::test]
async fn peer_has_as_many_places_as_it_may_and_gets_them_back() {
    let places = ConnectionLimit::new(10, 2);
    let one = enter(&places, "192.0.2.1").await.unwrap();
    let two = enter(&places, "::ffff:192.0.2.1").await.unwrap();
    let full = enter(&places, "192.0.2.1").await.err();
    assert_eq!(full, Some(NoPlace::PeerFull));
    assert!(enter(&places, "192.0.2.2").await.is_ok());
    drop(one);
    assert!(enter(&places, "192.0.2.1").await.is_ok());
    drop(two);
    let state = places.state.lock();
    assert!(state.peers.is_empty() && state.owners.is_empty() && state.open.is_empty());
}

#[tokio::test]
async fn peer_that_may_have_all_gives_way_to_itself() {
    let places = ConnectionLimit::new(1, 1);
    let idle = leave_when_evicted(enter(&places, "192.0.2.1").await.unwrap());
    assert!(enter(&places, "192.0.2.1").await.is_ok());
    idle.await.unwrap();
}

#[tokio::test]
async fn newcomer_waits_for_nobody_to_go_until_many_are_about_to() {
    let places = ConnectionLimit::new(300, 1_000);
    let mut silent = Vec::new();
    for _ in 0..300 + LEAVING_MAX {
        silent.push(enter(&places, "192.0.2.1").await.unwrap());
    }
    let waiting = enter(&places, "192.0.2.2");
    tokio::pin!(waiting);
    let pending = timeout_at(Instant::now() + Duration::from_millis(50), &mut waiting);
    assert!(pending.await.is_err());
    let asked = silent
        .iter()
        .position(|place| is_asked_to_go(&places, place));
    drop(silent.swap_remove(asked.unwrap()));
    assert!(waiting.await.is_ok());
}

fn is_asked_to_go(places: &ConnectionLimit, place: &ConnectionPermit) -> bool {
    places.state.lock().open[&place.ownership.number].is_leaving
}

#[tokio::test]
async fn one_ipv6_network_is_one_peer() {
    let places = ConnectionLimit::new(10, 1);
    let _one = enter(&places, "2001:db8::1").await.unwrap();
    assert!(enter(&places, "2001:db8::2").await.is_err());
    assert!(enter(&places, "2001:db8:0:1::2").await.is_ok());
}

#[tokio::test]
async fn whoever_has_most_gives_way_and_no_request_does() {
    let places = ConnectionLimit::new(3, 10);
    let neighbour = enter(&places, "192.0.2.2").await.unwrap();
    let busy = enter(&places, "192.0.2.1").await.unwrap();
    let request = busy.activity().request();
    let idle = leave_when_evicted(enter(&places, "192.0.2.1").await.unwrap());
    let newcomer = enter(&places, "192.0.2.3").await.unwrap();
    idle.await.unwrap();
    let _requests = [
        neighbour.activity().request(),
        newcomer.activity().request(),
    ];
    let full = enter(&places, "192.0.2.3").await.err();
    assert_eq!(full, Some(NoPlace::Full));
    drop(request);
    let idle = leave_when_evicted(busy);
    assert!(enter(&places, "192.0.2.3").await.is_ok());
    idle.await.unwrap();
}

#[tokio::test]
async fn connections_behind_one_address_are_told_apart_by_their_customers() {
    let places = ConnectionLimit::new(3, 10);
    let neighbour = enter(&places, "192.0.2.1").await.unwrap();
    neighbour.ownership().belongs_to(&"globex".into());
    neighbour.ownership().belongs_to(&"globex".into());
    let many: Vec<_> = [
        enter(&places, "192.0.2.1").await.unwrap(),
        enter(&places, "192.0.2.1").await.unwrap(),
    ]
    .into_iter()
    .map(|place| {
        place.ownership().belongs_to(&"acme".into());
        leave_when_evicted(place)
    })
    .collect();
    assert!(enter(&places, "192.0.2.1").await.is_ok());
    while !many.iter().any(|one| one.is_finished()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        places.state.lock().owners[&Owner::Customer("globex".into())],
        1
    );
}
