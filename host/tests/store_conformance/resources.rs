//! Listing and removing resources.

use std::collections::BTreeSet;

use millrace::store::{Conflict, Guard, Listing, Resource};

use crate::test_env::{TestEnv, at, change, conflict, create, first_stocked, instance, moved, product};

async fn every_page(env: &TestEnv, mut listing: Listing) -> Vec<Resource> {
    let mut all = Vec::new();
    loop {
        let page = env.store.resources.resources(&listing).await.unwrap();
        assert!(page.len() <= listing.limit);
        let Some(last) = page.last() else { return all };
        listing.after = Some((last.created_at, last.id.clone()));
        all.extend(page);
    }
}

fn ids(resources: &[Resource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.id.as_str()).collect()
}

/// Forty orders of two users, three of them in every second.
async fn fill(env: &TestEnv) {
    for n in 0..40 {
        let mut resource = instance(&format!("{:02}", (n * 7) % 40));
        resource.owner = Some(format!("user-{}", n % 2));
        resource.created_at = at(n / 3);
        env.store.resources.commit(create(resource)).await.unwrap();
    }
    env.store.resources.commit(create(product("1"))).await.unwrap();
}

pub async fn pages_by_cursor_have_no_gap_and_no_repetition(env: TestEnv) {
    fill(&env).await;
    for limit in [1, 3, 7, 100] {
        let found = every_page(&env, Listing { kind: "orders".into(), limit, ..Listing::default() }).await;
        let distinct: BTreeSet<&str> = ids(&found).into_iter().collect();
        assert_eq!((found.len(), distinct.len()), (40, 40));
        let newest_first = |pair: &[Resource]| (pair[0].created_at, &pair[0].id) > (pair[1].created_at, &pair[1].id);
        assert!(found.windows(2).all(newest_first));
    }
}

pub async fn pages_by_id_are_ascending(env: TestEnv) {
    fill(&env).await;
    let found = every_page(&env, Listing { kind: "orders".into(), by_id: true, limit: 9, ..Listing::default() }).await;
    let expected: Vec<String> = (0..40).map(|n| format!("{n:02}")).collect();
    assert_eq!(ids(&found), expected);
}

pub async fn a_listing_shows_one_owner_only(env: TestEnv) {
    fill(&env).await;
    for by_id in [false, true] {
        let owner = Some("user-1".to_owned());
        let found = every_page(&env, Listing { kind: "orders".into(), owner, by_id, limit: 6, ..Listing::default() }).await;
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|resource| resource.owner.as_deref() == Some("user-1")));
    }
    let nobody = Listing { kind: "orders".into(), owner: Some("user-9".into()), limit: 6, ..Listing::default() };
    assert!(env.store.resources.resources(&nobody).await.unwrap().is_empty());
}

pub async fn a_resource_without_workflow_is_deleted_with_its_stock(env: TestEnv) {
    env.store.resources.commit(create(product("1"))).await.unwrap();
    env.store.resources.commit(first_stocked("1", 5)).await.unwrap();
    assert!(env.store.resources.delete_resource("products", "1", Guard::Version(1), None).await.unwrap());
    assert!(!env.store.resources.delete_resource("products", "1", Guard::Version(1), None).await.unwrap());
    assert_eq!(env.store.resources.resource("products", "1").await.unwrap(), None);
    assert_eq!(env.store.stock.stock_of("1").await.unwrap(), None);
    env.store.resources.commit(create(product("1"))).await.expect("the id is free again");
}

pub async fn deleting_needs_the_version(env: TestEnv) {
    env.store.resources.commit(create(product("1"))).await.unwrap();
    env.store.resources.commit(change(moved(&product("1"), "active"))).await.unwrap();
    let stale = conflict(env.store.resources.delete_resource("products", "1", Guard::Version(1), None).await);
    assert_eq!(stale, Conflict::Version { kind: "products".into(), id: "1".into() });
    let there = conflict(env.store.resources.delete_resource("products", "1", Guard::Absent, None).await);
    assert_eq!(there, Conflict::Exists { kind: "products".into(), id: "1".into() });
    assert!(env.store.resources.delete_resource("products", "1", Guard::Version(2), None).await.unwrap());
}

pub async fn a_resource_with_a_workflow_is_not_deleted(env: TestEnv) {
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    assert!(!env.store.resources.delete_resource("orders", "a", Guard::Version(1), None).await.unwrap());
    assert_eq!(env.store.resources.resource("orders", "a").await.unwrap(), Some(instance("a")));
}

pub async fn how_far_an_instance_has_come_is_what_its_resource_says(env: TestEnv) {
    let mut paying = moved(&instance("a"), "paying");
    let progress = paying.workflow.as_mut().unwrap();
    progress.attention = Some("look".into());
    progress.deadlines.insert("expire".into(), at(7));
    env.store.resources.commit(create(instance("a"))).await.unwrap();
    env.store.resources.commit(change(paying.clone())).await.unwrap();
    env.store.resources.commit(create(product("1"))).await.unwrap();
    let instances = &env.store.instances;
    assert_eq!(instances.progress("orders", "a").await.unwrap(), paying.workflow);
    for (kind, id) in [("orders", "b"), ("products", "1")] {
        assert_eq!(instances.progress(kind, id).await.unwrap(), None, "{kind} {id}");
    }
}
