//! Files, renditions and their names in the records, on SQLite and PostgreSQL alike.

use std::time::Duration;

use futures::future::join_all;
use upload::{
    Admitted, FileAdmission, FileId, FileRole, Grammar, Held, KeyHold, Made, Media, OnceKey, Place, PlaceTaken, Reason,
    RecordsError, RenditionName, Right, Settled, Staged, State,
};

use crate::home::{DEADLINE, Home, MINUTE, on_both, user};

pub(crate) fn admission(place: Place) -> FileAdmission {
    let key = format!("incoming/{}", uuid::Uuid::now_v7().simple());
    FileAdmission {
        owner: "mary".to_owned(),
        right: Right::User("mary".to_owned()),
        place,
        label: "cat.txt".to_owned(),
        media: Media::Other,
        staged: Staged { key, bytes: 12, sha256: "ab".repeat(32), media: None, estimate: Duration::ZERO },
        deadline: DEADLINE,
        once: None,
    }
}

pub(crate) async fn settle(home: &Home, admitted: &Admitted) -> Settled {
    let attempt = home.run(&admitted.ticket).await;
    let made = Made { shown: None, original_key: format!("{}original", attempt.prefix), variants: Vec::new() };
    home.records.settle_ready(&attempt, made).await.unwrap()
}

/// A file of Mary's with one version, and that version's row.
pub(crate) async fn file(home: &Home) -> (FileId, i64) {
    let id = FileId::fresh();
    let admitted = home.records.admit_into_file(admission(Place::NewFile(id.clone()))).await.unwrap().unwrap();
    assert!(home.records.file(&id).await.unwrap().is_none(), "it is not there before it is ready");
    assert_eq!(settle(home, &admitted).await, Settled::Counted);
    let version = home.records.file_version(&id, 1).await.unwrap().unwrap();
    (id, version.id)
}

pub(crate) fn rendition(version: i64, name: &str) -> Place {
    let name = RenditionName::parse(name, Grammar::V1_1).unwrap();
    Place::Rendition { version, name, description: String::new(), most: 100 }
}

#[tokio::test]
async fn one_of_two_hundred_gets_the_name() {
    on_both(async |home| {
        let (_, version) = file(home).await;
        let other = Home::another(&home.url, &home.clock).await;
        let tries = (0..200).map(|n| {
            let records = if n % 2 == 0 { &home.records } else { &other };
            records.admit_into_file(admission(rendition(version, if n % 3 == 0 { "straße" } else { "STRASSE" })))
        });
        let answers = join_all(tries).await;
        let won = answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
        let lost = answers.iter().filter(|answer| matches!(answer, Ok(Err(PlaceTaken::Name)))).count();
        assert_eq!((won, lost), (1, 199));
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn names_are_given_back_by_those_that_come_to_nothing() {
    on_both(async |home| {
        let (_, version) = file(home).await;
        let admit = async || home.records.admit_into_file(admission(rendition(version, "small"))).await.unwrap();
        let rejected = admit().await.unwrap();
        assert_eq!(admit().await.unwrap_err(), PlaceTaken::Name);
        let attempt = home.run(&rejected.ticket).await;
        home.records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap();
        let buried = admit().await.unwrap();
        let attempt = home.run(&buried.ticket).await;
        home.records.bury(&attempt, &Reason::new("no", "no"), "no").await.unwrap();
        let overdue = admit().await.unwrap();
        home.clock.advance(DEADLINE);
        assert_eq!(home.records.fail_overdue(10).await.unwrap().len(), 1);
        let ready = admit().await.unwrap();
        assert_eq!(settle(home, &ready).await, Settled::Counted);
        assert!(home.records.retry_job(overdue.ticket.id, MINUTE).await.unwrap().is_none(), "its name is another's");
        let kept = home.records.rendition(version, "SMALL").await.unwrap().unwrap();
        assert_eq!((kept.upload.id, kept.extension.as_str()), (ready.id, "txt"));
        assert!(home.records.remove_rendition(&kept, "mary").await.unwrap());
        assert!(!home.records.remove_rendition(&kept, "mary").await.unwrap());
        let retried = home.records.retry_job(buried.ticket.id, MINUTE).await.unwrap().unwrap();
        assert_eq!(admit().await.unwrap_err(), PlaceTaken::Name, "what is tried again has its name again");
        assert_eq!(retried.ticket.job, buried.ticket.job);
        let census = home.records.census().await.unwrap();
        assert_eq!((census.unaccounted(), census.of(State::Expired)), (0, 1));
    })
    .await;
}

/// The number of a version that came to nothing is free, for the system whose file it is as for anybody.
#[tokio::test]
async fn a_version_of_another_system_takes_the_place_of_one_that_came_to_nothing() {
    on_both(async |home| {
        let plan = FileId::fresh();
        let register =
            async |name: &str, version| home.records.register_file(&plan, name, "mary", version, None).await.unwrap();
        assert!(register("plan.docx", 1).await);
        let next = Place::NextVersion(plan.clone());
        let pending = home.records.admit_into_file(admission(next)).await.unwrap().unwrap();
        assert!(!register("plan.docx", 2).await, "it is being handed in here");
        home.clock.advance(DEADLINE);
        assert_eq!(home.records.fail_overdue(10).await.unwrap().len(), 1);
        assert!(register("newer.docx", 2).await);
        let latest = async || {
            let file = home.records.file(&plan).await.unwrap().unwrap();
            let version = home.records.file_version(&plan, file.latest).await.unwrap().expect("the latest can be seen");
            (version.number, version.name)
        };
        assert_eq!(latest().await, (2, "newer.docx".to_owned()));
        assert!(home.records.retry_job(pending.ticket.id, MINUTE).await.unwrap().is_none(), "its place is another's");
        assert!(register("newest.docx", 2).await);
        assert_eq!(latest().await, (2, "newest.docx".to_owned()));
        assert!(register("sixth.docx", 6).await);
        assert!(register("late.docx", 5).await);
        let numbers: Vec<u32> = home.records.file_versions(&plan).await.unwrap().iter().map(|one| one.number).collect();
        assert_eq!(numbers, [1, 2, 6], "one that comes late is none");
    })
    .await;
}

#[tokio::test]
async fn a_right_is_looked_at_again_when_it_counts() {
    on_both(async |home| {
        let (id, version) = file(home).await;
        home.records.put_user(&user("paul")).await.unwrap();
        home.records.share_file(&id, "paul", FileRole::Contributor).await.unwrap();
        let by_paul = FileAdmission {
            owner: "paul".to_owned(),
            right: Right::User("paul".to_owned()),
            ..admission(rendition(version, "small"))
        };
        let admitted = home.records.admit_into_file(by_paul).await.unwrap().unwrap();
        home.records.share_file(&id, "paul", FileRole::Viewer).await.unwrap();
        match settle(home, &admitted).await {
            Settled::Rejected(reason) => assert_eq!(reason.code, "not_permitted"),
            other => panic!("{other:?}"),
        }
        assert!(home.records.renditions(version).await.unwrap().is_empty());
        home.records.admit_into_file(admission(rendition(version, "small"))).await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_later_version_may_be_ready_first() {
    on_both(async |home| {
        let (id, _) = file(home).await;
        let next =
            async || home.records.admit_into_file(admission(Place::NextVersion(id.clone()))).await.unwrap().unwrap();
        let (second, third) = (next().await, next().await);
        assert_eq!(settle(home, &third).await, Settled::Counted);
        assert_eq!(home.records.file(&id).await.unwrap().unwrap().latest, 3);
        assert_eq!(settle(home, &second).await, Settled::Counted);
        assert_eq!(home.records.file(&id).await.unwrap().unwrap().latest, 3);
        let numbers: Vec<u32> =
            home.records.file_versions(&id).await.unwrap().into_iter().map(|version| version.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_version_is_full_at_its_limit() {
    on_both(async |home| {
        let (_, version) = file(home).await;
        let tries = (0..8).map(|n| {
            let name = RenditionName::parse(&format!("n{n}"), Grammar::V1_2).unwrap();
            let place = Place::Rendition { version, name, description: String::new(), most: 5 };
            home.records.admit_into_file(admission(place))
        });
        let answers = join_all(tries).await;
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count(), 5);
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(Err(PlaceTaken::Full)))).count(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_held_by_one_and_remembers() {
    on_both(async |home| {
        let hold = async || home.records.hold_key("mary", "k", MINUTE).await.unwrap();
        let first = fresh(hold().await);
        assert!(matches!(hold().await, Held::InFlight { .. }));
        home.records.let_go_of_key(&first).await.unwrap();
        let given_up = fresh(hold().await);
        home.clock.advance(MINUTE);
        let held = fresh(hold().await);
        assert_ne!(held, given_up);
        let once = OnceKey { hold: held.clone(), fingerprint: "f".to_owned() };
        let (_, version) = file(home).await;
        let keyed = FileAdmission { once: Some(once.clone()), ..admission(rendition(version, "small")) };
        let admitted = home.records.admit_into_file(keyed).await.unwrap().unwrap();
        home.records.let_go_of_key(&held).await.unwrap();
        let known = Held::Admitted { fingerprint: "f".to_owned(), upload: admitted.id };
        assert_eq!(hold().await, known);
        home.records.note_answer(&once, "answer").await.unwrap();
        let known = Held::Answered { fingerprint: "f".to_owned(), answer: "answer".to_owned() };
        assert_eq!(hold().await, known);
        fresh(home.records.hold_key("paul", "k", MINUTE).await.unwrap());
        home.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(home.records.forget_answers(1).await.unwrap(), 1);
        assert_eq!(home.records.forget_answers(10).await.unwrap(), 1);
        fresh(hold().await);
    })
    .await;
}

#[tokio::test]
async fn a_hold_is_renewed_by_its_holder_and_by_no_earlier_one() {
    on_both(async |home| {
        let hold = async || home.records.hold_key("mary", "k", MINUTE).await.unwrap();
        let lost = fresh(hold().await);
        home.clock.advance(MINUTE / 2);
        assert!(home.records.renew_key(&lost, MINUTE).await.unwrap());
        home.clock.advance(MINUTE / 2);
        assert!(matches!(hold().await, Held::InFlight { .. }), "it was renewed");
        home.clock.advance(MINUTE / 2);
        let held = fresh(hold().await);
        assert!(!home.records.renew_key(&lost, 2 * MINUTE).await.unwrap());
        home.records.let_go_of_key(&lost).await.unwrap();
        let late = OnceKey { hold: lost, fingerprint: "f".to_owned() };
        home.records.note_answer(&late, "late").await.unwrap();
        assert!(matches!(hold().await, Held::InFlight { .. }), "the holder before changes nothing");
        let (_, version) = file(home).await;
        let keyed = FileAdmission { once: Some(late), ..admission(rendition(version, "small")) };
        let refused = home.records.admit_into_file(keyed).await.unwrap_err();
        assert!(matches!(refused, RecordsError::KeyLost), "{refused}");
        let once = OnceKey { hold: held, fingerprint: "f".to_owned() };
        let keyed = FileAdmission { once: Some(once), ..admission(rendition(version, "small")) };
        home.records.admit_into_file(keyed).await.unwrap().unwrap();
    })
    .await;
}

fn fresh(held: Held) -> KeyHold {
    match held {
        Held::Fresh(hold) => hold,
        other => panic!("the key is not free: {other:?}"),
    }
}
