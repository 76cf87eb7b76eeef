//! From a file to a running server, in the order that root's privileges, the lock and the ports ask for.

use std::net::SocketAddr;
use std::path::Path;

use crate::engine::{ServiceId, Setup};
use crate::store::{Reader, StoreError, Writer};

use super::Failure;
use super::listen::Listener;
use super::lock::Lock;
use super::run::{Parts, World};
use super::services::{self, Fresh, Ports};
use super::setup::{Owner, raise_descriptor_limit, random_seed};

/// A server that listens already and has yet to run.
pub struct Server {
    world: World,
    setup: Setup,
    addresses: Vec<(&'static str, SocketAddr)>,
    _lock: Lock,
}

impl Server {
    /// Opens the file as its owner, listens (as root if it is root that started us), and only then
    /// becomes the owner for good.
    pub fn prepare(db: &Path, ports: Ports, lock: Lock) -> Result<Server, Failure> {
        let owner = Owner::of(db);
        owner.borrow()?;
        let broken = |error: StoreError| Failure::File(error.to_string());
        let writes = Writer::open(db).map_err(broken)?;
        let store = Reader::open(db).map_err(broken)?;
        let fresh = Fresh::of(&store, &ports)?;
        owner.give_back()?;
        raise_descriptor_limit();
        let listeners =
            fresh.wanted.iter().map(|wanted| Listener::bind(*wanted)).collect::<Result<Vec<_>, _>>()?;
        owner.become_it()?;
        let addresses = listeners.iter().map(|listener| (name_of(listener), listener.local)).collect();
        let reads = Reader::open(db).map_err(broken)?;
        let setup = Setup {
            services: services::kinds(),
            config: store.config().map_err(broken)?.into(),
            seed: random_seed()?,
            pem: fresh.pem,
            newest: store.newest_saved().map_err(broken)?,
            store,
        };
        let world = World::new(Parts { db: db.into(), ports, listeners, reads, writes })?;
        Ok(Server { world, setup, addresses, _lock: lock })
    }

    /// Where it listens, by the name of the service: the real port where the system chose one.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// Until a signal says stop.
    pub fn run(self) -> Result<(), Failure> {
        self.world.run(self.setup)
    }
}

fn name_of(listener: &Listener) -> &'static str {
    let ServiceId(index) = listener.wanted.service;
    services::TABLE.get(index).map_or("", |service| service.kind.name)
}
