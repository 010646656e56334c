//! The shop as three processes on this machine: where each listens, and the variables by which they know each other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::parts::{Part, Ready};
use crate::whole_shop::operators_address;

/// Three processes that are one shop.
pub struct SplitShop {
    /// The host's program.
    pub binary: PathBuf,
    /// Serves the pages and passes on the rest.
    pub gateway: SocketAddr,
    /// Accounts, catalogue and stock.
    pub users_products: SocketAddr,
    /// Orders and the components that process them.
    pub orders: SocketAddr,
    /// Kafka's brokers, separated by commas.
    pub brokers: String,
    /// Folder of the component files.
    pub components: PathBuf,
    /// Folder of the databases.
    pub data: PathBuf,
    /// What else their configs read: secrets above all.
    pub variables: Vec<(&'static str, String)>,
}

/// One of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// `configs/gateway.yaml`
    Gateway,
    /// `configs/users-products.yaml`
    UsersProducts,
    /// `configs/orders.yaml`
    Orders,
}

impl Service {
    /// In the sequence in which they start.
    pub const ALL: [Self; 3] = [Self::UsersProducts, Self::Orders, Self::Gateway];

    /// Of its config, its container and its metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::UsersProducts => "users-products",
            Self::Orders => "orders",
        }
    }
}

impl SplitShop {
    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        match service {
            Service::Gateway => self.gateway,
            Service::UsersProducts => self.users_products,
            Service::Orders => self.orders,
        }
    }

    /// The program that is a service.
    pub fn part(&self, service: Service) -> Part {
        let config = format!("configs/{}.yaml", service.name());
        self.part_at(service.name(), service, Path::new(&config), self.address(service))
    }

    /// The program that is a service, as one of several of them, each with a name and an address of its own.
    pub fn part_at(&self, name: &'static str, service: Service, config: &Path, address: SocketAddr) -> Part {
        let variables = [
            ("LISTEN", address.to_string()),
            ("OPERATOR_LISTEN", operators_address(address).to_string()),
            // A folder for each: two services must not tidy up each other's compiled components.
            ("DATA_DIR", self.data.join(service.name()).display().to_string()),
            ("COMPONENTS_DIR", self.components.display().to_string()),
            ("CATALOGUE_URL", format!("http://{}", self.users_products)),
            ("USERS_PRODUCTS_URL", format!("http://{}", self.users_products)),
            ("ORDERS_URL", format!("http://{}", self.orders)),
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("MILLRACE_LOG_FORMAT", "text".to_owned()),
        ];
        Part::new(name, &self.binary, Ready::Http(address, "/readyz"))
            .arguments([Path::new("run"), Path::new("--config"), config])
            .environment(variables.into_iter().chain(self.variables.iter().cloned()))
    }
}
