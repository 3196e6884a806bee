"""The bare rate of password hashes: a process of its own, as many threads as connections, nothing but Argon2id.

``python -m scripts.benches.hashing SECONDS THREADS`` prints hashes, seconds and CPU seconds as JSON.
"""

import json
import sys
import threading
import time

from argon2 import PasswordHasher

from shop.staff.hashers import OwaspArgon2Hasher as Shops

PASSWORD = "correct horse battery"  # noqa: S105  nobody's


def rate(seconds: float, threads: int) -> dict[str, float]:
    """Verify with the shop's parameters for ``seconds``."""
    hasher = PasswordHasher(Shops.time_cost, Shops.memory_cost, Shops.parallelism)
    stored, done, stop_at = hasher.hash(PASSWORD), [0] * threads, time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < stop_at:
            hasher.verify(stored, PASSWORD)
            done[number] += 1

    started, cpu = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return {
        "hashes": sum(done),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
    }


if __name__ == "__main__":
    print(json.dumps(rate(float(sys.argv[1]), int(sys.argv[2]))))
