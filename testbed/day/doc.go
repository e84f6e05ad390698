// Package day is the day of an operator that the README tells in its chapter "A day with lbctl", as a test: every
// command there is typed at a shell of its machine, a network namespace, against the real binary, and what it prints must be what
// the chapter shows, numbers and times aside. Clients make requests all the time, and none may fail but where the chapter kills a
// server.
package day
