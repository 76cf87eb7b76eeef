//! Where the types of floor 0 meet SQLite's integers.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::base::{AccountId, BodyId, CredentialId, MailboxId, ModSeq, ThreadId, Uid, UidValidity, Wall};

use super::{KeywordSet, Scope, SpecialUse, StoreError};

macro_rules! signed {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0))
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                value.as_i64().map($name)
            }
        }
    )*};
}

macro_rules! unsigned {
    ($($name:ident($inner:ty)),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(i64::from(self.0)))
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                <$inner>::column_result(value).map($name)
            }
        }
    )*};
}

signed!(AccountId, MailboxId, BodyId, ThreadId, CredentialId, Wall);
unsigned!(Uid(u32), UidValidity(u32), KeywordSet(u32));

/// RFC 7162 section 3.1: a modseq has 63 bits, which is what SQLite stores.
impl ToSql for ModSeq {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(signed(self.0)))
    }
}

impl FromSql for ModSeq {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<ModSeq> {
        value.as_i64().map(|number| ModSeq(number.max(0).unsigned_abs()))
    }
}

const SPECIAL_USES: [SpecialUse; 8] = [
    SpecialUse::All,
    SpecialUse::Archive,
    SpecialUse::Drafts,
    SpecialUse::Flagged,
    SpecialUse::Junk,
    SpecialUse::Sent,
    SpecialUse::Trash,
    SpecialUse::Important,
];

const SCOPES: [Scope; 3] = [Scope::All, Scope::ReadOnly, Scope::SendOnly];

macro_rules! by_place {
    ($name:ident, $table:ident) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let place = $table.iter().position(|known| known == self).unwrap_or_default();
                Ok(ToSqlOutput::from(place as i64))
            }
        }
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                let place = value.as_i64()?;
                usize::try_from(place)
                    .ok()
                    .and_then(|place| $table.get(place).copied())
                    .ok_or(rusqlite::types::FromSqlError::OutOfRange(place))
            }
        }
    };
}

by_place!(SpecialUse, SPECIAL_USES);
by_place!(Scope, SCOPES);

/// Sizes and counts as SQLite stores them.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        if let rusqlite::Error::SqliteFailure(failure, _) = &error
            && failure.code == rusqlite::ErrorCode::DiskFull
        {
            return StoreError::Full;
        }
        StoreError::Broken(error.to_string())
    }
}
