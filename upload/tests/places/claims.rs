//! Claiming, expiring and avatars, on SQLite and PostgreSQL alike: a picture is claimed or expires, and never both.

use std::collections::HashSet;

use futures::future::join_all;
use upload::{ClaimRefused, Claimant, Reason, Resource, Service, State, UploadId};

use crate::home::{KEEP, MINUTE, on_both, user};

fn mary() -> Claimant {
    Claimant { user: "mary".to_owned(), admin: false }
}

fn group(id: impl ToString) -> Resource {
    Resource { service: Service::Groups, id: id.to_string() }
}

#[tokio::test]
async fn a_claim_stands_and_can_be_repeated_and_nobody_else_gets_it() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        for _ in 0..2 {
            home.records.claim(upload, &group("choir"), &mary()).await.unwrap().unwrap();
        }
        let claim = home.records.upload(upload).await.unwrap().unwrap().claim.unwrap();
        assert_eq!((claim.resource, claim.by.as_str()), (group("choir"), "mary"));
        let elsewhere = home.records.claim(upload, &group("band"), &mary()).await.unwrap();
        assert_eq!(elsewhere, Err(ClaimRefused::ClaimedElsewhere));
        // Nothing of a claimed picture expires.
        home.clock.advance(2 * KEEP);
        assert!(home.records.expire(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_refused_in_the_words_of_its_reason() {
    on_both(async |home| {
        let paul = Claimant { user: "paul".to_owned(), admin: false };
        let admin = Claimant { user: "root".to_owned(), admin: true };
        let nowhere = UploadId::try_from(77).unwrap();
        assert_eq!(home.records.claim(nowhere, &group(1), &mary()).await.unwrap(), Err(ClaimRefused::Unknown));
        let upload = home.ready().await.id;
        let hidden = home.records.claim(upload, &group(1), &paul).await.unwrap();
        assert_eq!(hidden, Err(ClaimRefused::Unknown), "it must not tell that the picture exists");
        home.records.claim(upload, &group(1), &admin).await.unwrap().unwrap();

        let rejected = home.admit().await;
        let reason = Reason::new("too_small", "it has one pixel");
        let attempt = home.run(&rejected.ticket).await;
        home.records.settle_rejected(&attempt, &reason).await.unwrap();
        let unusable = home.records.claim(rejected.id, &group(1), &mary()).await.unwrap();
        assert_eq!(unusable, Err(ClaimRefused::Unusable(reason)));

        let late = home.ready().await.id;
        home.clock.advance(KEEP);
        let before_the_sweep = home.records.claim(late, &group(1), &mary()).await.unwrap();
        assert_eq!(before_the_sweep, Err(ClaimRefused::Expired));
        assert_eq!(home.records.expire(10).await.unwrap(), [late]);
        let after = home.records.claim(late, &group(1), &mary()).await.unwrap();
        assert_eq!(after, Err(ClaimRefused::Expired));
    })
    .await;
}

#[tokio::test]
async fn of_many_claims_one_wins() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        let claims = (0..16).map(|n| {
            let records = home.records.clone();
            tokio::spawn(async move { records.claim(upload, &group(n), &mary()).await.unwrap() })
        });
        let won = join_all(claims).await.into_iter().filter(|outcome| matches!(outcome, Ok(Ok(())))).count();
        assert_eq!(won, 1);
    })
    .await;
}

/// Claims that begin before the hour and sweeps that begin after it, in any order: each picture goes one way.
#[tokio::test]
async fn a_picture_is_claimed_or_expires_and_never_both() {
    on_both(async |home| {
        let mut uploads = Vec::new();
        for _ in 0..24 {
            uploads.push(home.ready().await.id);
        }
        home.clock.advance(KEEP - std::time::Duration::from_millis(1));
        let claims = uploads.iter().map(|upload| {
            let (records, upload) = (home.records.clone(), *upload);
            tokio::spawn(async move { (upload, records.claim(upload, &group(upload), &mary()).await.unwrap().is_ok()) })
        });
        let claims: Vec<_> = claims.collect();
        let (clock, sweepers) = (home.clock.clone(), home.records.clone());
        let sweep = tokio::spawn(async move {
            clock.advance(std::time::Duration::from_millis(1));
            let mut expired = HashSet::new();
            for batch in join_all((0..4).map(|_| sweepers.expire(10))).await {
                expired.extend(batch.unwrap());
            }
            expired
        });
        let claimed: HashSet<UploadId> =
            join_all(claims).await.into_iter().map(Result::unwrap).filter(|(_, won)| *won).map(|(id, _)| id).collect();
        let mut expired = sweep.await.unwrap();
        expired.extend(home.records.expire(100).await.unwrap());
        assert!(claimed.is_disjoint(&expired), "{claimed:?} {expired:?}");
        assert_eq!(claimed.len() + expired.len(), uploads.len());
        for upload in uploads {
            let upload = home.records.upload(upload).await.unwrap().unwrap();
            assert_eq!(upload.claim.is_some(), upload.state == State::Ready, "{upload:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_expires_loses_its_job_its_variants_and_its_bytes() {
    on_both(async |home| {
        let (ready, waiting) = (home.ready().await.id, home.admit().await);
        home.clock.advance(KEEP);
        let mut expired = home.records.expire(10).await.unwrap();
        expired.sort();
        assert_eq!(expired, [ready, waiting.id]);
        assert!(home.records.variants(ready, 0).await.unwrap().is_empty());
        assert!(home.records.open_job(waiting.id).await.unwrap().is_none());
        let condemned = home.records.take_condemned(10).await.unwrap();
        let mut prefixes: Vec<_> = condemned.into_iter().map(|condemned| condemned.prefix).collect();
        prefixes.sort();
        assert_eq!(prefixes, [format!("uploads/3/{ready}-"), format!("uploads/3/{}-", waiting.id)]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_was_on_it_when_it_expired_settles_nothing() {
    on_both(async |home| {
        let admitted = home.admit().await;
        home.clock.advance(KEEP - MINUTE);
        let attempt = home.run(&admitted.ticket).await;
        home.clock.advance(MINUTE);
        home.records.expire(10).await.unwrap();
        let settled = home.records.settle_ready(&attempt, crate::home::made(&attempt)).await.unwrap();
        assert_eq!(settled, upload::Settled::Void);
        assert_eq!(home.records.upload(admitted.id).await.unwrap().unwrap().state, State::Expired);
        assert!(home.records.variants(admitted.id, 0).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_avatar_is_the_newest_claimed_picture_that_is_ready() {
    on_both(async |home| {
        let choir = group("choir");
        assert!(home.records.avatar(&choir).await.unwrap().is_none());
        let first = home.ready().await.id;
        home.records.claim(first, &choir, &mary()).await.unwrap().unwrap();
        let (version, shown) = home.records.avatar(&choir).await.unwrap().unwrap();
        assert_eq!(shown.id, first);
        // One that is still worked on does not hide the one before.
        let second = home.admit().await;
        home.records.claim(second.id, &choir, &mary()).await.unwrap().unwrap();
        assert_eq!(home.records.avatar(&choir).await.unwrap().unwrap().1.id, first);
        let attempt = home.run(&second.ticket).await;
        home.records.settle_ready(&attempt, crate::home::made(&attempt)).await.unwrap();
        assert_eq!(home.records.avatar(&choir).await.unwrap().unwrap().1.id, second.id);
        assert_eq!(home.records.avatar_version(&choir, version).await.unwrap().unwrap().id, first);
        assert!(home.records.avatar_version(&group("band"), version).await.unwrap().is_none());
        home.records.remove_avatar(&choir, "mary").await.unwrap();
        assert!(home.records.avatar(&choir).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_history_grows_by_what_was_claimed_alone() {
    on_both(async |home| {
        let choir = group("choir");
        let claimed = async || {
            let admitted = home.admit().await;
            home.records.claim(admitted.id, &choir, &mary()).await.unwrap().unwrap();
            admitted
        };
        let settled = async |admitted: &upload::Admitted| {
            let attempt = home.run(&admitted.ticket).await;
            home.records.settle_ready(&attempt, crate::home::made(&attempt)).await.unwrap();
        };
        let shown = async || home.records.avatar(&choir).await.unwrap();
        let remove = async || home.records.remove_avatar(&choir, "mary").await.unwrap();
        remove().await;
        let first = claimed().await;
        settled(&first).await;
        let (version, upload) = shown().await.unwrap();
        assert_eq!(upload.id, first.id);
        for _ in 0..20 {
            remove().await;
        }
        assert!(shown().await.is_none());
        let second = claimed().await;
        settled(&second).await;
        // Versions are numbers of rows, of this test's database.
        assert_eq!(shown().await.unwrap().0, version + 2, "the picture, the default one, a picture");
        // What is taken down while the next one is worked on stays so when that is ready.
        let third = claimed().await;
        remove().await;
        settled(&third).await;
        assert!(shown().await.is_none());
    })
    .await;
}

/// SQLite keeps one writer at a time and PostgreSQL many; the sum must be the same.
#[tokio::test]
async fn a_crowd_admits_and_settles_and_everything_adds_up() {
    on_both(async |home| {
        home.records.put_user(&user("paul")).await.unwrap();
        let crowd = (0..40).map(|n| {
            let records = home.records.clone();
            tokio::spawn(async move {
                let admitted = records.admit(crate::home::admission("paul")).await.unwrap();
                let upload::Start::Run(attempt) = records.begin_attempt(&admitted.ticket, MINUTE).await.unwrap() else {
                    panic!("nobody else knows of it");
                };
                match n % 4 {
                    0 => records.settle_rejected(&attempt, &Reason::new("no", "no")).await.unwrap(),
                    1 => records.bury(&attempt, &Reason::new("gave_up", "gave up"), "crash").await.unwrap(),
                    2 => records
                        .put_off(&attempt, MINUTE, "later")
                        .await
                        .unwrap()
                        .map_or(upload::Settled::Void, |_| upload::Settled::Counted),
                    _ => records.settle_ready(&attempt, crate::home::made(&attempt)).await.unwrap(),
                }
            })
        });
        for settled in join_all(crowd).await {
            assert_eq!(settled.unwrap(), upload::Settled::Counted);
        }
        let census = home.records.census().await.unwrap();
        let of = |state| census.of(state);
        assert_eq!(
            (census.admitted, of(State::Rejected), of(State::Failed), of(State::Accepted), of(State::Ready)),
            (40, 10, 10, 10, 10)
        );
        assert_eq!((census.dead_jobs, census.open_jobs), (10, 10));
    })
    .await;
}
