//! Dead letters in people's hands, on SQLite and PostgreSQL alike.

use std::collections::HashSet;

use upload::{Place, Reason, Settled, Start, State, Wanted};

use crate::files;
use crate::home::{DEADLINE, KEEP, MINUTE, made, on_both, variant};

#[tokio::test]
async fn a_buried_job_keeps_its_story_and_its_bytes() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        let reason = Reason::new("gave_up", "five attempts");
        assert_eq!(home.records.bury(&attempt, &reason, "it crashed").await.unwrap(), Settled::Counted);
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason), (State::Failed, Some(reason)));
        let keys = [upload.staged_key];
        assert_eq!(home.records.needed_in_staging(&keys).await.unwrap(), HashSet::from(keys.clone()));
        let census = home.records.census().await.unwrap();
        assert_eq!((census.dead_jobs, census.open_jobs), (1, 0));
        assert!(matches!(home.records.begin_attempt(&admitted.ticket, MINUTE).await.unwrap(), Start::Gone));
        // Once nobody could claim it any more, its bytes go too.
        home.clock.advance(KEEP);
        assert!(home.records.needed_in_staging(&keys).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_as_if_for_the_first_time() {
    on_both(async |home| {
        let admitted = home.admit().await;
        let attempt = home.run(&admitted.ticket).await;
        home.records.bury(&attempt, &Reason::new("gave_up", "five attempts"), "it crashed").await.unwrap();
        let dead = home.records.jobs(true, 10).await.unwrap();
        assert_eq!(
            dead.iter().map(|job| (job.id, job.last_error.as_deref())).collect::<Vec<_>>(),
            [(admitted.ticket.id, Some("it crashed"))]
        );
        home.clock.advance(2 * DEADLINE);
        let ticket = home.records.retry_job(admitted.ticket.id, DEADLINE).await.unwrap().unwrap().ticket;
        assert_eq!(ticket, admitted.ticket);
        assert!(home.records.retry_job(ticket.id, DEADLINE).await.unwrap().is_none(), "it is not dead any more");
        let upload = home.records.upload(admitted.id).await.unwrap().unwrap();
        assert_eq!((upload.state, upload.reason, upload.settled_at), (State::Accepted, None, None));
        assert!(home.records.fail_overdue(10).await.unwrap().is_empty(), "it has its time before it");
        let again = home.run(&ticket).await;
        assert_eq!((again.number, again.counted), (2, 1), "the fence grows, the count begins anew");
        assert_eq!(home.records.settle_ready(&attempt, made(&attempt)).await.unwrap(), Settled::Void, "it is buried");
        home.records.settle_ready(&again, made(&again)).await.unwrap();
        assert_eq!(home.records.census().await.unwrap().unaccounted(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_given_up_and_an_expired_one_stays_dead() {
    on_both(async |home| {
        let (one, two) = (home.admit().await, home.admit().await);
        for admitted in [&one, &two] {
            let attempt = home.run(&admitted.ticket).await;
            home.records.bury(&attempt, &Reason::new("gave_up", "gave up"), "it crashed").await.unwrap();
        }
        assert!(home.records.drop_job(one.ticket.id).await.unwrap());
        assert!(!home.records.drop_job(one.ticket.id).await.unwrap());
        let failed = home.records.upload(one.id).await.unwrap().unwrap();
        assert_eq!(failed.state, State::Failed);
        assert!(home.records.needed_in_staging(&[failed.staged_key]).await.unwrap().is_empty(), "nothing can use it");
        home.clock.advance(KEEP);
        assert!(home.records.retry_job(two.ticket.id, DEADLINE).await.unwrap().is_none());
        assert!(home.records.job(two.ticket.id).await.unwrap().unwrap().dead);
        assert_eq!(home.records.jobs_of(two.id).await.unwrap().len(), 1);
    })
    .await;
}

/// A file waits for it, however long it takes to find out what was wrong; nobody is to claim it.
#[tokio::test]
async fn what_was_handed_in_for_a_file_keeps_its_bytes_until_it_is_given_up() {
    on_both(async |home| {
        let (_, version) = files::file(home).await;
        let wish = files::admission(files::rendition(version, "small"));
        assert!(matches!(wish.place, Place::Rendition { .. }));
        let keys = [wish.staged.key.clone()];
        let admitted = home.records.admit_into_file(wish).await.unwrap().unwrap();
        let attempt = home.run(&admitted.ticket).await;
        home.records.bury(&attempt, &Reason::new("gave_up", "five attempts"), "blobs were away").await.unwrap();
        home.clock.advance(3 * KEEP);
        assert_eq!(home.records.needed_in_staging(&keys).await.unwrap(), HashSet::from(keys.clone()));
        assert!(home.records.drop_job(admitted.ticket.id).await.unwrap());
        assert!(home.records.needed_in_staging(&keys).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_size_whose_job_is_dead_says_so_until_it_is_tried_again_and_is_ordered_anew_once_it_is_given_up() {
    on_both(async |home| {
        let upload = home.ready().await.id;
        let name = "64.png".parse().unwrap();
        let want = async || home.records.want_variant(upload, 0, name).await.unwrap();
        let Wanted::Ordered(ticket) = want().await else { panic!("not ordered") };
        let reason = Reason::new("gave_up", "five attempts");
        for _ in 0..2 {
            let attempt = home.run(&ticket).await;
            assert_eq!(home.records.bury(&attempt, &reason, "blobs were away").await.unwrap(), Settled::Counted);
            assert!(matches!(want().await, Wanted::Failed(why) if why == reason));
            assert_eq!(home.records.retry_job(ticket.id, DEADLINE).await.unwrap().unwrap().ticket, ticket);
            assert!(matches!(want().await, Wanted::Coming(job) if job == ticket.id));
        }
        let attempt = home.run(&ticket).await;
        home.records.bury(&attempt, &reason, "blobs were away").await.unwrap();
        assert!(home.records.drop_job(ticket.id).await.unwrap());
        let Wanted::Ordered(anew) = want().await else { panic!("not ordered anew") };
        let attempt = home.run(&anew).await;
        let made = variant(&attempt, "64.png");
        assert_eq!(home.records.settle_variant(&attempt, 0, &made).await.unwrap(), Settled::Counted);
        assert!(matches!(want().await, Wanted::Made(found) if found == made));
    })
    .await;
}
