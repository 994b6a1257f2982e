/* base: the words every room uses. Outside this room include only this header. */
#pragma once

#include "base/arena.h"
#include "base/bounds.h"
#include "base/clk.h"
#include "base/conf.h"
#include "base/crypto.h"
#include "base/csv.h"
#include "base/err.h"
#include "base/facts.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/plan.h"
#include "base/sender.h"
#include "base/slice.h"
#include "base/words.h"
#include "base/yaml.h"
