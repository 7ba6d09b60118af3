# Runs the program that follows the first line of standard input, and reports on file 3 that it starts and how it ended,
# each behind the word in that line. The rules are those of HumanEval's own execution (Chen et al. 2021).
import io, os, resource, signal, sys


class NoInput(io.StringIO):
    def _refuse(self, *_):
        raise OSError("there is no input")
    read = readline = readlines = _refuse

    def readable(self):
        return False


class TimeOut(BaseException):
    pass


def stop(*_):
    raise TimeOut


def main():
    # This limit is not set before Python is executed: the threads of Go's runtime need more addresses than a program
    # may have, and end the process if they do not get them.
    memory = int(sys.argv.pop())
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    word, _, program = sys.stdin.buffer.read().partition(b"\n")
    sys.stdin = NoInput()
    sys.stdout = sys.stderr = io.StringIO()
    signal.signal(signal.SIGALRM, stop)
    outcome = b"failed"
    os.write(3, word + b" started\n")
    try:
        signal.setitimer(signal.ITIMER_REAL, 3.0)
        exec(program.decode(), {})
        outcome = b"passed"
    except TimeOut:
        outcome = b"timed out"
    except BaseException:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.write(3, word + b" " + outcome)
    os._exit(0)


main()
