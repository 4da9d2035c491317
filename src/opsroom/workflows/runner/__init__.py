"""The job runner: carries out one job's steps, in this process (`job.JobRunner`) or detached (`python -m … FOLDER`)."""
