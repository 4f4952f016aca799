"""From a specification to a published version, step by step in the folder of a job."""
