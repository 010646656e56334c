// Command {{name}} is a step: the host calls what export_wit_world has.
package main

import _ "example.com/{{name}}/bindings/wit_exports"

// Never called; the build wants it.
func main() {}
