package explain

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
)

// Span shows a length of time in the two largest units that it needs.
func Span(d chain.Duration) string {
	const second, minute = 1000, 60 * 1000
	switch {
	case d >= 2*genesis.Day:
		return fmt.Sprintf("%d days %d h", d/genesis.Day, d%genesis.Day/(60*minute))
	case d >= 60*minute:
		return fmt.Sprintf("%d h %d min", d/(60*minute), d%(60*minute)/minute)
	case d >= minute:
		return fmt.Sprintf("%d min %d s", d/minute, d%minute/second)
	}
	tenths := (d + 50) / 100 // rounded
	return fmt.Sprintf("%d.%d s", tenths/10, tenths%10)
}

// span is Span of what may be negative: then it is nothing.
func span(ms int64) string { return Span(chain.Duration(max(0, ms))) }

// Instant shows a network's time in UTC: 2006-01-02 15:04:05Z.
func Instant(t chain.Time) string {
	s := uint64(t) / 1000
	y, m, d := civil(s / 86_400)
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02dZ", y, m, d, s/3600%24, s/60%60, s%60)
}

// civil is the date of a day since 1970-01-01. Years are counted from March on,
// so that the leap day is the last, in eras of 400 years.
func civil(days uint64) (year, month, day uint64) {
	days += 719_468 // from 0000-03-01
	era, of := days/146_097, days%146_097
	y := (of - of/1460 + of/36_524 - of/146_096) / 365
	of -= 365*y + y/4 - y/100
	m := (5*of + 2) / 153
	day = of - (153*m+2)/5 + 1
	if month = m + 3; month > 12 {
		month -= 12
	}
	year = era*400 + y
	if month <= 2 {
		year++
	}
	return year, month, day
}
