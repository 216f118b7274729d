-- Instead of them there are `deliveries_of_endpoint` and `deliveries_open`.
DROP INDEX deliveries_endpoint;
DROP INDEX deliveries_pending;
