//! What those who run a process look at and do: its instances, what waits, its components.
//!
//! It reads what others keep and asks them to act; it decides nothing about an instance, which only the machine does.

mod act;
mod actor;
mod bulk;
mod by_hand;
mod canary;
mod canary_view;
mod changes;
mod compare;
mod component_view;
mod components;
mod configs;
mod copilot;
mod dependencies;
mod filter;
mod history;
mod instance;
mod instances;
mod keeping;
mod known;
mod letters;
mod live;
mod newcomers;
mod next;
mod replay;
mod replay_view;
mod saving;
mod service;
mod trial;
mod view;
mod waiting;
mod waiting_view;

pub use crate::runtime::{MAX_COMPONENT_BYTES, MAX_SIGNATURE_BYTES};
pub use act::{Action, Deed, Done};
pub use actor::Actor;
pub use bulk::Bulk;
pub use canary_view::{CanaryAnswer, CanaryBody, StopBody};
pub use compare::{CompareBody, CompareResult};
pub use component_view::{ComponentBody, ComponentDetail, ComponentList, VersionBody};
pub use components::{SwapBody, SwapResult};
pub use configs::{Changed, CheckBody, ConfigDesk, Configs, Judged, PlanBody, StrandedBody, TakeOver, TextBody, Written};
pub use copilot::{AppliedBody, AppliedResult, AskBody, AskError, AskResult, ModelError, Outward};
pub use dependencies::{Bus, CountBacklog, Dependencies};
pub use filter::Filter;
pub use history::{History, HistoryBody, Saved, SavedText};
pub use keeping::{ConfigStanding, Keeping, digest};
pub use known::BulkResult;
pub use live::difference;
pub use newcomers::{NewComponentBody, NewPlace, PlaceBody, PlacedBody};
pub use replay_view::{RecordingList, ReplayBody, ReplayResult};
pub use saving::{CONFIG_CHANGED, RollbackBody, SaveBody, SaveResult};
pub use service::Console;
pub use trial::{TrialBody, TrialResult};
pub use view::{CountBody, InstanceBody, InstancePage};
pub use waiting_view::{MendBody, MendResult, WaitingBody};
