// SPDX-License-Identifier: Apache-2.0
#include "serve/date.h"

void date_fmt(struct wall t, struct buf *b)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t ms_of_day = ((t.ms % 86400000) + 86400000) % 86400000;
    int64_t day = (t.ms - ms_of_day) / 86400000; // since 1970-01-01, a Thursday
    // Years that start in March end with the leap day, so months follow one formula.
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 2 : mp - 10; // from 0
    int64_t year = yoe + era * 400 + (month < 2 ? 1 : 0);
    int64_t s = ms_of_day / 1000;
    buf_fmt(b, "%s %s %02d %02d:%02d:%02d UTC %d", days[((day + 4) % 7 + 7) % 7], months[month],
            (int)(doy - (153 * mp + 2) / 5 + 1), (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60),
            (int)year);
}
