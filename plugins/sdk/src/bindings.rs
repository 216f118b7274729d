//! The bindings that wit-bindgen generates from the contract. Authors never need them;
//! they use the `handler!` macro and the other modules.
//!
//! The imports are generated once, apart from the exports, so that a component exports
//! what its author wrote and nothing else. An import that is never called is not in the
//! component, as the linker drops unused code.
#![allow(missing_docs, clippy::all)]

pub mod imports {
    //! Everything that a plugin may call.
    wit_bindgen::generate!({
        path: "wit",
        world: "capabilities",
        generate_all,
    });
}

pub mod http {
    //! The export of a plugin that answers HTTP requests.
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package hearth:sdk;
            world http { export hearth:plugin/handler@0.1.0; }
        ",
        with: { "hearth:plugin/types@0.1.0": crate::bindings::imports::hearth::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_http",
        default_bindings_module: "hearth_plugin::bindings::http",
    });
}

pub mod consume {
    //! The export of a plugin that consumes messages.
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package hearth:sdk-consumer;
            world consume { export hearth:plugin/consumer@0.1.0; }
        ",
        with: { "hearth:plugin/types@0.1.0": crate::bindings::imports::hearth::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_consumer",
        default_bindings_module: "hearth_plugin::bindings::consume",
    });
}
