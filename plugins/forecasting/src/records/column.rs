//! The columns of FOCUS, versions 1.0 to 1.4, that are stored.

macro_rules! columns {
    ($($column:ident $name:literal;)*) => {
        /// A column of FOCUS that is kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($column),* }

        impl Column {
            const COUNT: usize = [$($name),*].len();

            /// The column of a name, as FOCUS writes it.
            pub fn parse(name: &str) -> Option<Column> {
                match name {
                    $($name => Some(Column::$column),)*
                    _ => None,
                }
            }

            pub fn name(self) -> &'static str {
                match self { $(Column::$column => $name),* }
            }
        }
    };
}

columns! {
    BilledCost "BilledCost";
    EffectiveCost "EffectiveCost";
    ListCost "ListCost";
    ContractedCost "ContractedCost";
    BillingCurrency "BillingCurrency";
    BillingPeriodStart "BillingPeriodStart";
    ChargePeriodStart "ChargePeriodStart";
    ChargePeriodEnd "ChargePeriodEnd";
    ServiceName "ServiceName";
    ServiceProviderName "ServiceProviderName";
    ProviderName "ProviderName";
    HostProviderName "HostProviderName";
    RegionId "RegionId";
    RegionName "RegionName";
    ChargeCategory "ChargeCategory";
    SubAccountId "SubAccountId";
    BillingAccountId "BillingAccountId";
    Tags "Tags";
    RowId "x_RowId";
}

impl Column {
    /// Whether it need not be text: a number, or tags.
    pub fn may_be_bare(self) -> bool {
        let bare = [
            Column::BilledCost,
            Column::EffectiveCost,
            Column::ListCost,
            Column::ContractedCost,
            Column::Tags,
        ];
        bare.contains(&self)
    }
}

/// How exporters write that there is no value.
const NO_VALUE: [&str; 3] = ["", "NULL", "null"];

/// What a row says in those columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    texts: [Option<String>; Column::COUNT],
    refused: Vec<Column>,
    given: [bool; Column::COUNT],
    twice: Vec<Column>,
}

impl Cells {
    pub fn set(&mut self, column: Column, text: Option<String>) {
        if let Some(cell) = self.texts.get_mut(column as usize) {
            *cell = text.filter(|text| !NO_VALUE.contains(&text.as_str()));
        }
    }

    /// Remembers that an object gives a column. Which of two counts is not for the order
    /// to say (RFC 7493, section 2.3).
    pub fn give(&mut self, column: Column) {
        let given = self.given.get_mut(column as usize);
        if given.is_some_and(|given| std::mem::replace(given, true)) {
            self.twice.push(column);
        }
    }

    /// The columns that were given twice.
    pub fn twice(&self) -> &[Column] {
        &self.twice
    }

    /// Remembers that a column has something that it cannot have.
    pub fn refuse(&mut self, column: Column) {
        self.refused.push(column);
    }

    pub fn get(&self, column: Column) -> Option<&str> {
        self.texts.get(column as usize)?.as_deref()
    }

    /// The columns that have something that they cannot have.
    pub fn refused(&self) -> &[Column] {
        &self.refused
    }
}
