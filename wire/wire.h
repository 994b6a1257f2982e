/* wire: the only place that touches libpq, librdkafka, hiredis, libcurl and the JSON libraries. Small wrappers that speak our error words.
 * Outside this room include only this header. */
#pragma once

#include "wire/http.h"
#include "wire/json.h"
#include "wire/kafka.h"
#include "wire/pg.h"
#include "wire/redis.h"
