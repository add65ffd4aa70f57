//! Serializes a response body as XML, from the same structs as JSON. A member of a struct becomes an element, and the
//! items of a list become `<item>` elements in the element of the list (`docs/contracts/renditions.md`, 3). XML is only
//! written, never parsed.

use serde::de::value::Error;
use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Serializes a body as a document whose root element has this name.
///
/// # Errors
/// A body of a type that this API does not use: bytes, tuples, enums with content.
pub(super) fn to_string<T: Serialize + ?Sized>(root: &str, body: &T) -> Result<String, Error> {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned();
    body.serialize(Element { name: root, text: &mut text })?;
    Ok(text)
}

/// Writes one value as an element.
struct Element<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl<'a> Element<'a> {
    fn open(self) -> OpenElement<'a> {
        self.text.extend(["<", self.name, ">"]);
        OpenElement { name: self.name.to_owned(), key: String::new(), text: self.text }
    }

    fn write_text(self, value: &str) -> Result<(), Error> {
        let element = self.open();
        write_escaped(value, element.text);
        element.close()
    }

    /// Returns the error for a type that bodies of this API do not use.
    fn unsupported<T>(self) -> Result<T, Error> {
        Err(Error::custom(format!("\"{}\" has a type that is not written as XML", self.name)))
    }
}

macro_rules! write_as_text {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.write_text(&value.to_string())
        })*
    };
}

impl<'a> Serializer for Element<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = OpenElement<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = OpenElement<'a>;
    type SerializeStruct = OpenElement<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    write_as_text!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char
    );

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.write_text(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.write_text("")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.write_text("")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.write_text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<OpenElement<'a>, Error> {
        Ok(self.open())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<OpenElement<'a>, Error> {
        Ok(self.open())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<OpenElement<'a>, Error> {
        Ok(self.open())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        self.unsupported()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.unsupported()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        self.unsupported()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        self.unsupported()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        self.unsupported()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        self.unsupported()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.unsupported()
    }
}

/// An element whose start tag is written.
struct OpenElement<'a> {
    name: String,
    /// The key that was serialized before the next value of a map.
    key: String,
    text: &'a mut String,
}

impl OpenElement<'_> {
    fn write_child<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        value.serialize(Element { name, text: self.text })
    }

    fn close(self) -> Result<(), Error> {
        self.text.extend(["</", &self.name, ">"]);
        Ok(())
    }
}

impl SerializeSeq for OpenElement<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.write_child("item", value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeStruct for OpenElement<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.write_child(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// serde serializes a struct with a flattened member as a map.
impl SerializeMap for OpenElement<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let key = serde_json::to_value(key).map_err(Error::custom)?;
        self.key = key.as_str().ok_or_else(|| Error::custom("a key is no text"))?.to_owned();
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.write_child(&key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// Escapes a text. XML 1.0 cannot represent most control characters, not even escaped, so U+FFFD
/// replaces them.
fn write_escaped(value: &str, text: &mut String) {
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}') => text.push('\u{FFFD}'),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct List {
        #[serde(rename = "errorCode")]
        error_code: &'static str,
        #[serde(flatten)]
        rest: Rest,
    }

    #[derive(Serialize)]
    struct Rest {
        count: u32,
        items: Vec<Item>,
        none: Vec<Item>,
    }

    #[derive(Serialize)]
    struct Item {
        name: &'static str,
        exists: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u32>,
    }

    #[test]
    fn json_and_xml_have_the_same_members() {
        let items = vec![Item { name: "a<&\"'b\u{1}\r\n", exists: true, size: None }];
        let list = List { error_code: "0", rest: Rest { count: 1, items, none: Vec::new() } };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><file><errorCode>0</errorCode><count>1</count>\
                        <items><item><name>a&lt;&amp;&quot;&apos;b\u{FFFD}&#13;\n</name><exists>true</exists></item>\
                        </items><none></none></file>";
        assert_eq!(to_string("file", &list).unwrap(), expected);
        let expected = r#"{"errorCode":"0","count":1,"items":[{"name":"a<&\"'b\u0001\r\n","exists":true}],"none":[]}"#;
        assert_eq!(serde_json::to_string(&list).unwrap(), expected);
    }

    #[test]
    fn a_type_that_xml_cannot_represent_is_an_error() {
        assert!(to_string("file", &(1, 2)).is_err());
    }
}
