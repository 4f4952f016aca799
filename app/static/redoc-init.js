// ReDoc's badge has a picture on its makers' host. No picture of another host is asked for; ReDoc drops what fails.
{
  const own = (address) => {
    const { host } = new URL(address, location);
    return host && host !== location.host ? "data:," : address;
  };
  const picture = HTMLImageElement.prototype;
  const source = Object.getOwnPropertyDescriptor(picture, "src");
  Object.defineProperty(picture, "src", {
    ...source,
    set(address) {
      source.set.call(this, own(address));
    },
  });
  picture.setAttribute = function (name, value) {
    Element.prototype.setAttribute.call(this, name, name === "src" ? own(value) : value);
  };
}
