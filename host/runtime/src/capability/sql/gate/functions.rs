//! The functions that a plugin may call without anyone's approval, and those
//! that no approval allows.
//!
//! On the list is what computes with its arguments and the rows it is given.
//! Off it is what reaches further: roles, settings, files, locks, catalogs,
//! other sessions, sequences by name, texts run as SQL, XML.

use super::rules::among;

/// Functions that neither write nor answer differently within a statement: a text
/// of names for each group.
const PLAIN: &[&str] = &[
    // Aggregates.
    "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop \
     covar_samp every json_agg json_agg_strict json_object_agg json_object_agg_strict \
     json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict \
     jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique \
     jsonb_object_agg_unique_strict max min mode percentile_cont percentile_disc range_agg \
     range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope \
     regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp \
     variance",
    // Window functions.
    "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank \
     row_number",
    // Text.
    "ascii bit_count bit_length btrim casefold char_length character_length chr concat \
     concat_ws convert_from convert_to crc32 crc32c decode encode format get_bit get_byte \
     initcap is_normalized left length like_escape lower lpad ltrim md5 normalize \
     octet_length overlay position quote_ident quote_literal quote_nullable regexp_count \
     regexp_instr regexp_like regexp_match regexp_matches regexp_replace \
     regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right \
     rpad rtrim set_bit set_byte sha224 sha256 sha384 sha512 similar_to_escape split_part \
     starts_with string_to_array string_to_table strpos substr substring to_ascii to_bin \
     to_hex to_oct translate unicode_assigned unistr upper",
    // Numbers.
    "abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling \
     cos cosd cosh cot cotd degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln \
     log log10 min_scale mod pi pow power radians round scale sign sin sind sinh sqrt tan \
     tand tanh to_number trim_scale trunc width_bucket",
    // Date and time.
    "age date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days \
     justify_hours justify_interval make_date make_interval make_time make_timestamp \
     make_timestamptz now overlaps statement_timestamp timezone to_char to_date to_timestamp \
     transaction_timestamp",
    // Arrays, rows and ranges.
    "array_append array_cat array_dims array_fill array_length array_lower array_ndims \
     array_position array_positions array_prepend array_remove array_replace array_reverse \
     array_sort array_to_json array_to_string array_upper cardinality daterange \
     generate_series generate_subscripts int4multirange int4range int8multirange int8range \
     isempty lower_inc lower_inf multirange num_nonnulls num_nulls numrange range_merge \
     trim_array tsrange tstzmultirange tstzrange unnest upper_inc upper_inf",
    // JSON.
    "json_array_elements json_array_elements_text json_array_length json_build_array \
     json_build_object json_each json_each_text json_extract_path json_extract_path_text \
     json_object json_object_keys json_populate_record json_populate_recordset \
     json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_array_elements \
     jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object \
     jsonb_concat jsonb_contains jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text \
     jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path \
     jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists \
     jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query \
     jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first \
     jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record \
     jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls \
     jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb",
    // Text search. `ts_stat` and `ts_rewrite` run a text as SQL and are not here.
    "array_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight strip \
     to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase \
     tsvector_to_array websearch_to_tsquery",
    // Conversions spelled as functions, identifiers, addresses.
    "abbrev bool broadcast date family float4 float8 host hostmask inet_merge \
     inet_same_family int2 int4 int8 interval masklen netmask network numeric set_masklen \
     text time timestamp timestamptz uuid_extract_timestamp uuid_extract_version varchar",
];

/// Functions that answer differently each time: harmless, but a statement that
/// calls one is not shown to be a mere reading.
const VOLATILE: &str = "array_sample array_shuffle clock_timestamp gen_random_uuid random random_normal \
     timeofday uuidv4 uuidv7";

/// Functions that plugins may not call, even where an operator approves them: they change the
/// tenant or the settings, run texts as SQL, or reach files and other sessions.
const NEVER: &str = "current_setting has_parameter_privilege loread lowrite nextval_internal set_config \
     setseed ts_rewrite ts_stat txid_current";

/// Beginnings of such names. Every administrative function begins with `pg_`.
const NEVER_PREFIXES: &str = "binary_upgrade_ crosstab cursor_to_xml database_to_xml dblink lo_ pg_ query_to_xml \
     schema_to_xml table_to_xml xpath_table";

/// Functions with such a beginning that an operator may approve all the same: they
/// wait, within the statement's own time limit, and reach nothing.
const APPROVABLE: &str = "pg_sleep pg_sleep_for pg_sleep_until";

/// What the list says of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    Plain,
    Volatile,
    Unknown,
}

/// Looks a function of Postgres up by its name, without its schema.
pub fn volatility(name: &str) -> Volatility {
    match name {
        _ if PLAIN.iter().any(|group| among(group, name)) => Volatility::Plain,
        _ if among(VOLATILE, name) => Volatility::Volatile,
        _ => Volatility::Unknown,
    }
}

/// Whether a function may never be called, by a name in any case.
pub fn is_never(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if among(APPROVABLE, &name) {
        return false;
    }
    among(NEVER, &name)
        || NEVER_PREFIXES
            .split_ascii_whitespace()
            .any(|prefix| name.starts_with(prefix))
}
