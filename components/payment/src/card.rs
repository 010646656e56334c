//! Test cards: a token stands for a card, and the card for what the gateway will say.

/// What the gateway does with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Approves it.
    Approves,
    /// Declines it.
    Declines(Decline),
    /// Does not answer before this attempt, then approves.
    TimesOutBefore {
        /// The first attempt that is answered.
        attempt: u32,
    },
    /// Never answers.
    IsDown,
    /// Approves it, and never answers when it is to give something back.
    KeepsTheMoney,
}

impl Behaviour {
    /// The gateway does not answer, be it for a while.
    fn is_fault(self) -> bool {
        matches!(self, Self::TimesOutBefore { .. } | Self::IsDown | Self::KeepsTheMoney)
    }
}

/// Why a card is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decline {
    /// Short and stable, for programs.
    pub code: &'static str,
    /// For the customer.
    pub reason: &'static str,
}

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// What the shop knows of it.
    pub token: &'static str,
    /// Last four digits of its number.
    pub last4: &'static str,
    /// What happens when it is charged.
    pub behaviour: Behaviour,
}

/// Charged when an instance names no token.
pub const DEFAULT_TOKEN: &str = "tok_visa";

/// The decline that simulation uses too.
pub const INSUFFICIENT_FUNDS: Decline = Decline { code: "insufficient_funds", reason: "The card has insufficient funds for this payment." };

const EXPIRED: Decline = Decline { code: "expired_card", reason: "The card has expired." };
const FRAUDULENT: Decline = Decline { code: "fraudulent", reason: "The payment was declined as possibly fraudulent." };

/// Every card there is.
pub const CARDS: [Card; 11] = [
    Card { token: DEFAULT_TOKEN, last4: "4242", behaviour: Behaviour::Approves },
    Card { token: "tok_mastercard", last4: "4444", behaviour: Behaviour::Approves },
    Card { token: "tok_amex", last4: "8431", behaviour: Behaviour::Approves },
    Card { token: "tok_discover", last4: "1117", behaviour: Behaviour::Approves },
    Card { token: "tok_chargeDeclined", last4: "0002", behaviour: Behaviour::Declines(INSUFFICIENT_FUNDS) },
    Card { token: "tok_chargeDeclinedInsufficientFunds", last4: "9995", behaviour: Behaviour::Declines(INSUFFICIENT_FUNDS) },
    Card { token: "tok_chargeDeclinedExpiredCard", last4: "0069", behaviour: Behaviour::Declines(EXPIRED) },
    Card { token: "tok_chargeDeclinedFraudulent", last4: "0019", behaviour: Behaviour::Declines(FRAUDULENT) },
    Card { token: "tok_gatewayTimeout", last4: "4242", behaviour: Behaviour::TimesOutBefore { attempt: 3 } },
    Card { token: "tok_gatewayDown", last4: "4242", behaviour: Behaviour::IsDown },
    Card { token: "tok_refundDown", last4: "7726", behaviour: Behaviour::KeepsTheMoney },
];

/// The card that `token` stands for; with `faults` also one that the gateway does not answer for.
pub fn find(token: &str, faults: bool) -> Option<&'static Card> {
    CARDS.iter().find(|card| card.token == token && (faults || !card.behaviour.is_fault()))
}

/// The tokens and what they do, for operators and testers.
pub fn reserved_values() -> String {
    let cards: Vec<String> = CARDS.iter().map(|card| format!("{} {}", card.token, effect(card.behaviour))).collect();
    format!(
        "Values of payment.token in the data: {}; any other token is rejected as invalid_token, and so are those that time out where simulate.faults is false. Without one: {DEFAULT_TOKEN}.",
        cards.join(", ")
    )
}

fn effect(behaviour: Behaviour) -> String {
    match behaviour {
        Behaviour::Approves => "is approved".to_owned(),
        Behaviour::Declines(decline) => format!("is declined ({})", decline.code),
        Behaviour::TimesOutBefore { attempt } => format!("times out before attempt {attempt}, then is approved"),
        Behaviour::IsDown => "always times out".to_owned(),
        Behaviour::KeepsTheMoney => "is approved, and no refund of it is answered".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unique_and_each_is_documented() {
        let text = reserved_values();
        for card in &CARDS {
            assert_eq!(CARDS.iter().filter(|other| other.token == card.token).count(), 1, "{}", card.token);
            assert!(text.contains(&format!("{} ", card.token)), "{} in {text}", card.token);
            assert_eq!(card.last4.len(), 4);
        }
    }
}
