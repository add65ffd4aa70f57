use std::net::IpAddr;

use super::*;

fn network(n: u8) -> Option<ClientNetwork> {
    Some(ClientNetwork::from(IpAddr::from([203, 0, 113, n])))
}

fn try_admit(connections: &Connections, network: Option<ClientNetwork>) -> Option<ConnectionSlot> {
    match connections.try_admit(network) {
        SlotAdmission::Admitted(slot) => Some(slot),
        SlotAdmission::Refused | SlotAdmission::Full => None,
    }
}

fn is_closed(slot: &ConnectionSlot) -> bool {
    slot.0.0.closed.is_cancelled()
}

#[test]
fn a_network_closes_its_own_idlest_connection_first() {
    let connections = Connections::new(10, 2);
    let other = try_admit(&connections, network(2)).unwrap();
    let [first, second] = [(); 2].map(|()| try_admit(&connections, network(1)).unwrap());
    // After this request, the first connection is the one that became idle last.
    drop(first.handle().begin(None).ok().unwrap());
    let third = try_admit(&connections, network(1)).unwrap();
    assert_eq!([&other, &first, &second, &third].map(is_closed), [false, false, true, false]);
    assert!(
        matches!(second.handle().begin(None), Err(RequestLimitError::Closed)),
        "a closed connection begins no request"
    );
}

#[test]
fn a_connection_with_a_request_in_progress_is_not_closed() {
    let connections = Connections::new(10, 2);
    let slots = [(); 2].map(|()| try_admit(&connections, network(1)).unwrap());
    let requests = [&slots[0], &slots[1]].map(|slot| slot.handle().begin(None).ok().unwrap());
    assert!(matches!(connections.try_admit(network(1)), SlotAdmission::Refused));
    let [one, _] = requests;
    // The response has ended but is not written out yet.
    let handle = slots[0].handle();
    one.response_ended();
    drop(one);
    assert!(matches!(connections.try_admit(network(1)), SlotAdmission::Refused));
    handle.flushed();
    assert!(try_admit(&connections, network(1)).is_some());
    assert_eq!([&slots[0], &slots[1]].map(is_closed), [true, false]);
}

#[tokio::test]
async fn a_slot_is_free_when_the_closed_connection_is_gone() {
    let connections = Connections::new(2, 2);
    let (first, second) = (try_admit(&connections, network(1)).unwrap(), try_admit(&connections, network(2)).unwrap());
    let third = tokio::spawn({
        let connections = connections.clone();
        async move { connections.admit(network(3)).await }
    });
    first.closed().await;
    assert!(!is_closed(&second), "one new connection closes only one other connection");
    drop(first);
    let third = third.await.unwrap().unwrap();
    assert!(!is_closed(&second) && !is_closed(&third));
}

#[tokio::test]
async fn if_all_are_busy_the_first_to_become_idle_is_closed() {
    let connections = Connections::new(1, 1);
    let slot = try_admit(&connections, None).unwrap();
    let request = slot.handle().begin(None).ok().unwrap();
    let next = tokio::spawn({
        let connections = connections.clone();
        async move { connections.admit(None).await }
    });
    tokio::task::yield_now().await;
    assert!(!is_closed(&slot));
    drop(request);
    slot.closed().await;
    drop(slot);
    assert!(next.await.unwrap().is_some());
}

#[test]
fn ended_connections_and_requests_leave_no_entries() {
    let connections = Connections::new(2, 1);
    for n in 0..100 {
        let slot = try_admit(&connections, network(n)).unwrap();
        let request = slot.handle().begin(network(n + 100)).ok().unwrap();
        assert!(matches!(slot.handle().begin(network(n + 100)), Err(RequestLimitError::ClientLimit)));
        // The bodies may outlive the connection.
        drop(slot);
        drop(request);
    }
    let table = connections.0.table();
    assert!(table.entries.is_empty() && table.idle.is_empty() && table.networks.is_empty() && table.clients.is_empty());
    assert_eq!(table.closing, 0);
}
