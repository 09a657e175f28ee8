from __future__ import annotations

from automarket.rpc.channel import MAX_MESSAGE_BYTES
from automarket.v1 import job_service_pb2 as pb
from gateway.control.jobs.job_service import fitting


def _job(size):
    return pb.Job(id="1", error=pb.JobError(status=b"x" * size))


def test_a_page_of_large_jobs_fits_into_one_message():
    jobs = [_job(100_000) for _ in range(100)]
    page = fitting(jobs)
    assert 20 < len(page) < 100
    assert pb.ListJobsResponse(jobs=page).ByteSize() < MAX_MESSAGE_BYTES
    assert fitting(jobs[:10]) == jobs[:10]


def test_a_page_has_at_least_one_job():
    assert len(fitting([_job(3_500_000), _job(1)])) == 1
    assert fitting([]) == []
