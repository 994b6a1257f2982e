/* The registry behind /readyz. One mutex, touched only when a state changes or somebody asks. */
#include "engine/health.h"

#include <pthread.h>
#include <stdio.h>

#include "engine/engine.h"

enum state { GONE, STARTING, OK, BAD };

struct health_slot {
	char name[48];
	enum state state;
	char cause[256];
};

static struct health_slot slots[128];
static size_t used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct health_slot *health_slot(const char *name, int index)
{
	pthread_mutex_lock(&lock);
	struct health_slot *s = &slots[used < ARRAY_LEN(slots) ? used++ : ARRAY_LEN(slots) - 1];
	snprintf(s->name, sizeof(s->name), "%s-%d", name, index);
	s->state = STARTING;
	pthread_mutex_unlock(&lock);
	return s;
}

static void change(struct health_slot *s, enum state to, const char *cause)
{
	pthread_mutex_lock(&lock);
	enum state was = s->state;
	s->state = to;
	snprintf(s->cause, sizeof(s->cause), "%s", cause != NULL ? cause : "");
	pthread_mutex_unlock(&lock);
	if (was == to)
		return;
	metric_set(metric_at(metric_family(METRIC_GAUGE, "khien_part_ok", "part",
				     "1 while this part of the process is able to work, 0 while it "
				     "waits for something."),
			   s->name, NULL, NULL),
		to != BAD);
	if (to == BAD)
		log_warn("engine", "part=%s state=waiting cause=\"%s\"", s->name, s->cause);
	else if (to == OK)
		log_info("engine", "part=%s state=ok", s->name);
}

void health_ok(struct health_slot *s)
{
	change(s, OK, NULL);
}

void health_bad(struct health_slot *s, const char *cause)
{
	change(s, BAD, cause);
}

void health_gone(struct health_slot *s)
{
	change(s, GONE, NULL);
}

bool engine_ready(struct buf *why)
{
	bool ready = true;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < used; i++) {
		if (slots[i].state == OK || slots[i].state == GONE)
			continue;
		ready = false;
		buf_fmt(why, "%s: %s\n", slots[i].name,
			slots[i].state == STARTING ? "starting" : slots[i].cause);
	}
	pthread_mutex_unlock(&lock);
	return ready;
}
