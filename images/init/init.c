/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The first process of the guest: runs /etc/rc, then keeps a root shell on each serial port, and
 * buries whatever dies. SIGTERM restarts the machine, SIGUSR1 and SIGUSR2 halt it, as reboot and halt
 * of busybox ask.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A shell's status when its port is not there: it is not tried again. */
#define NO_PORT 126

struct shell {
	const char *port;
	pid_t pid;
	time_t begin;
	int given_up;
};

static struct shell shells[] = { { "/dev/ttyS0" }, { "/dev/ttyS1" } };

static char *environment[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=vt100", "SHELL=/bin/mksh", "USER=root",
	"LOGNAME=root", NULL
};

static void end_machine(int number)
{
	sync();
	reboot(number == SIGTERM ? RB_AUTOBOOT : RB_HALT_SYSTEM);
}

/* The port as standard input, output and error, and as the terminal of a session of its own. */
static void take_port(const char *port)
{
	struct termios settings;
	int fd;

	setsid();
	fd = open(port, O_RDWR | O_NONBLOCK);
	if (fd < 0 || tcgetattr(fd, &settings) < 0)
		_exit(NO_PORT);
	/* No modem is asked whether the line is up. */
	settings.c_cflag |= CLOCAL | CREAD | HUPCL;
	tcsetattr(fd, TCSANOW, &settings);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	ioctl(fd, TIOCSCTTY, 1);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void start_shell(struct shell *shell)
{
	static char *arguments[] = { "-mksh", NULL };
	time_t now = time(NULL);
	int at_once = shell->begin != 0 && now - shell->begin < 2;

	shell->begin = now;
	shell->pid = fork();
	if (shell->pid != 0)
		return;
	/* A shell that ends at once is not to take the whole machine. */
	if (at_once)
		sleep(1);
	take_port(shell->port);
	chdir("/root");
	execve("/bin/mksh", arguments, environment);
	_exit(1);
}

static void bury(void)
{
	struct shell *shell;
	int status;
	pid_t pid = wait(&status);

	for (shell = shells; shell < shells + LENGTH(shells); shell++)
		if (shell->pid == pid) {
			shell->pid = 0;
			shell->given_up = WIFEXITED(status) && WEXITSTATUS(status) == NO_PORT;
		}
}

static void run_rc(void)
{
	static char *arguments[] = { "mksh", "/etc/rc", NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execve("/bin/mksh", arguments, environment);
		fprintf(stderr, "init: /bin/mksh: %s\n", strerror(errno));
		_exit(1);
	}
	while (pid > 0 && wait(NULL) != pid)
		;
}

int main(void)
{
	unsigned int i;

	signal(SIGTERM, end_machine);
	signal(SIGUSR1, end_machine);
	signal(SIGUSR2, end_machine);
	run_rc();
	for (;;) {
		int alive = 0;

		for (i = 0; i < LENGTH(shells); i++) {
			if (shells[i].pid <= 0 && !shells[i].given_up)
				start_shell(&shells[i]);
			alive |= shells[i].pid > 0;
		}
		if (alive)
			bury();
		else if (wait(NULL) < 0)
			pause();
	}
}
