// Package config turns what an operator wrote into what is valid: a YAML file, or the
// body of a request, into an Intent. It is strict: a field that nobody knows, a
// value of the wrong type, a file that ends too early is an error that names the place and
// says what would be right.
package config
